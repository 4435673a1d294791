"""Reads, verifies and pins host keys in the inventory's ``known_hosts``, in OpenSSH's format.

Read as OpenSSH's sshd(8), "SSH_KNOWN_HOSTS FILE FORMAT", says: plain and hashed names, patterns
with ``*``, ``?`` and ``!``, ``@revoked``. ``@cert-authority`` lines are left alone: fleet pins the
keys themselves. A host is looked up by its address in the inventory, never by what an ssh_config
maps that address to, as if HostKeyAlias were set.
"""

import base64
import binascii
import contextlib
import fcntl
import fnmatch
import hashlib
import hmac
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from fleet.errors import HostKeyChanged, HostKeyUnknown, UsageError

SSH_PORT = 22


@dataclass(frozen=True, slots=True)
class HostKey:
    """A public key that a host showed.

    Attributes:
        kind: as in ``ssh-ed25519``.
        blob: its wire form.
    """

    kind: str
    blob: bytes

    @property
    def fingerprint(self) -> str:
        """Return it as OpenSSH prints it: ``SHA256:`` and unpadded base64."""
        return fingerprint_of(self.blob)


@dataclass(frozen=True, slots=True)
class PinnedKey:
    """A line of the file for the host asked for."""

    line: int
    revoked: bool
    key: HostKey


def fingerprint_of(blob: bytes) -> str:
    """Return ``SHA256:...`` for a key's wire form."""
    return "SHA256:" + base64.b64encode(hashlib.sha256(blob).digest()).decode().rstrip("=")


def entry_name(address: str, port: int) -> str:
    """Return the name of a host in the file: ``address``, or ``[address]:port`` off port 22."""
    return address if port == SSH_PORT else f"[{address}]:{port}"


class KnownHosts:
    """One known_hosts file; read afresh at every question, since others write it too."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def pinned(self, name: str) -> tuple[PinnedKey, ...]:
        """Return every key that the file has for this name, in line order; none without a file."""
        return tuple(self._matching(self._read(), name))

    def verify(self, name: str, shown: HostKey, *, host_id: str) -> None:
        """Return when the shown key is pinned for this name.

        Raises:
            HostKeyUnknown: nothing is pinned for it.
            HostKeyChanged: something else is pinned, be it of another type, or the key is revoked.
        """
        self._judge(self.pinned(name), shown, host_id=host_id, name=name)

    def pin(self, name: str, shown: HostKey, *, host_id: str) -> bool:
        """Add the key unless it is there; False when it was, perhaps by another run just now.

        The file is replaced as a whole under a lock on it, so neither a crash nor another thread
        or process can lose or tear a line.

        Raises:
            HostKeyChanged: another key was pinned for this name meanwhile.
            UsageError: the file cannot be written.
        """
        try:
            with self._locked() as text:
                try:
                    pinned = tuple(self._matching(text, name))
                    self._judge(pinned, shown, host_id=host_id, name=name)
                except HostKeyUnknown:
                    key = base64.b64encode(shown.blob).decode()
                    gap = "" if not text or text.endswith("\n") else "\n"
                    self._replace(f"{text}{gap}{name} {shown.kind} {key}\n")
                    return True
                return False
        except OSError as error:
            raise UsageError(
                f"cannot write the host key of {host_id} to {self.path}: {error.strerror}",
                hint=f"make {self.path} writable",
            ) from error

    def _judge(
        self, pinned: tuple[PinnedKey, ...], shown: HostKey, *, host_id: str, name: str
    ) -> None:
        if not pinned:
            raise HostKeyUnknown(
                f"{host_id}: first contact, {name} shows {shown.kind} {shown.fingerprint}, and "
                f"{self.path} has no key for it",
                hint="compare it with the host's own, then pass --accept-new-host-keys",
            )
        same = [pin for pin in pinned if pin.key == shown]
        revoked = next((pin for pin in same if pin.revoked), None)
        if revoked:
            raise HostKeyChanged(
                f"{host_id}: {name} shows {shown.kind} {shown.fingerprint}, which "
                f"{self.path}:{revoked.line} marks as revoked",
                hint="give the host a new key; nothing was sent to it",
            )
        if same:
            return
        old = next((pin for pin in pinned if pin.key.kind == shown.kind), pinned[0])
        raise HostKeyChanged(
            f"{host_id}: {name} shows {shown.kind} {shown.fingerprint}, but {self.path}:{old.line} "
            f"pins {old.key.kind} {old.key.fingerprint}: a rebuilt host, or not our host",
            hint=f"if it was rebuilt, delete line {old.line} of {self.path} and register again "
            "with --accept-new-host-keys",
        )

    def _matching(self, text: str, name: str) -> Iterator[PinnedKey]:
        wanted, is_plain = name.lower(), not any(mark in text for mark in "|*?")
        for number, line in enumerate(text.splitlines(), start=1):
            # Without hashes and patterns, tens of thousands of lines are passed over unread.
            if is_plain and wanted not in line.lower():
                continue
            words = line.split()
            if not words or words[0].startswith("#"):
                continue
            marker = words.pop(0) if words[0].startswith("@") else ""
            if marker == "@cert-authority" or not words or not _names(words[0], name):
                continue
            try:
                _, kind, encoded, *_ = words
                blob = base64.b64decode(encoded, validate=True)
            except (ValueError, binascii.Error) as error:
                raise UsageError(
                    f"{self.path}:{number}: not a known_hosts line",
                    hint="expected: address key-type base64-key",
                ) from error
            yield PinnedKey(number, marker == "@revoked", HostKey(kind, blob))

    def _read(self) -> str:
        try:
            return self.path.read_text(encoding="utf-8", errors="replace")
        except FileNotFoundError:
            return ""
        except OSError as error:
            raise UsageError(f"cannot read {self.path}: {error.strerror}") from error

    @contextlib.contextmanager
    def _locked(self) -> Iterator[str]:
        """Lock the file that has the name now, and yield its text.

        Whoever waited for the lock may hold a file that was replaced meanwhile, and tries again.
        """
        while True:
            with self.path.open("a+", encoding="utf-8", errors="surrogateescape") as held:
                fcntl.flock(held, fcntl.LOCK_EX)
                with contextlib.suppress(FileNotFoundError):
                    if os.path.samestat(os.fstat(held.fileno()), self.path.stat()):
                        held.seek(0)
                        yield held.read()
                        return

    def _replace(self, text: str) -> None:
        mode = self.path.stat().st_mode & 0o777
        handle, temporary = tempfile.mkstemp(dir=self.path.parent, prefix=f".{self.path.name}.")
        try:
            with os.fdopen(handle, "w", encoding="utf-8", errors="surrogateescape") as file:
                file.write(text)
                file.flush()
                os.fchmod(file.fileno(), mode)
                os.fsync(file.fileno())
            Path(temporary).replace(self.path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise


def _names(field: str, name: str) -> bool:
    """Say whether the first field of a line matches this name; one negation outweighs all."""
    if field.startswith("|1|"):
        return _is_hash_of(field, name)
    found, name = False, name.lower()
    for pattern in field.split(","):
        wanted = pattern.removeprefix("!").lower()
        # Only * and ? are special in known_hosts; fnmatch would read [addr]:port as a set. It
        # compiles each pattern, which takes seconds where tens of thousands of hosts are pinned.
        if wanted == name or (
            ("*" in wanted or "?" in wanted)
            and fnmatch.fnmatchcase(name, wanted.replace("[", "[[]"))
        ):
            if pattern.startswith("!"):
                return False
            found = True
    return found


def _is_hash_of(field: str, name: str) -> bool:
    try:
        _, _, salt, digest = field.split("|")
        expected = base64.b64decode(digest, validate=True)
        # SHA-1 is what the file format prescribes; it hides names here and protects nothing.
        actual = hmac.new(base64.b64decode(salt, validate=True), name.encode(), "sha1").digest()
    except (ValueError, binascii.Error):
        return False
    return hmac.compare_digest(actual, expected)
