"""Package managers, ``apt-key`` and ``gpg``, as the installer uses them."""

from fleet.sandbox.hosts import packages
from fleet.sandbox.hosts.packages import CATALOGUE
from fleet.sandbox.hosts.programs.call import (
    ProgramCall,
    ProgramReply,
    failed,
    inside,
    said,
    unsupported,
    wait,
)
from fleet.sandbox.hosts.shop_host import ShopHost

_KEYRING = "/root/.gnupg/sandbox-keys"
_APT_ERROR = 100
_FETCH_PATIENCE_S = 30.0
_LOCKED = "are you root?"


def apt_get(host: ShopHost, call: ProgramCall) -> ProgramReply:
    """Run ``apt-get update | install``."""
    words = [word for word in call.args if not word.startswith("-") and "=" not in word]
    verb, names = (words[0], words[1:]) if words else ("", [])
    if not call.root:
        return failed(_APT_ERROR, f"E: Could not open lock file: Permission denied, {_LOCKED}")
    if verb == "update":
        return _fetch(host, "archive.ubuntu.com")
    if verb != "install":
        return unsupported(call, verb)
    for name in names:
        reply = _install_file(host, call, name) if "/" in name else _install_named(host, name)
        if reply.status:
            return reply
    return ProgramReply()


def _install_named(host: ShopHost, name: str) -> ProgramReply:
    package = CATALOGUE.get(name)
    offered = (
        package and package.source and (not package.needs or host.path(package.needs).exists())
    )
    if not package or not offered:
        return failed(_APT_ERROR, f"E: Unable to locate package {name}")
    if name in packages.installed(host):
        return said(f"{name} is already the newest version ({package.version}).")
    reply = _fetch(host, package.source)
    if not reply.status:
        host.install(name)
    return reply


def _fetch(host: ShopHost, name: str) -> ProgramReply:
    if host.conditions.blocks(name):
        wait(host.clock, _FETCH_PATIENCE_S)
        return failed(_APT_ERROR, f"E: Failed to fetch http://{name}/: connection timed out")
    return ProgramReply()


def dpkg(host: ShopHost, call: ProgramCall) -> ProgramReply:
    """Run ``dpkg -i FILE``, ``-s NAME`` or ``--print-architecture``."""
    verb, names = (call.args[0], call.args[1:]) if call.args else ("", ())
    if verb == "--print-architecture":
        return said("arm64" if host.spec.machine == "aarch64" else "amd64")
    if verb in {"-s", "--status"}:
        known = packages.installed(host)
        if not names or names[0] not in known:
            return failed(1, f"dpkg-query: package '{''.join(names[:1])}' is not installed")
        return said(
            f"Package: {names[0]}\nStatus: install ok installed\nVersion: {known[names[0]]}"
        )
    if not call.root:
        return failed(
            2, f"dpkg: error: requested operation requires superuser privilege, {_LOCKED}"
        )
    if verb in {"-i", "--install"}:
        return _files(host, call, names)
    return unsupported(call, verb)


def _files(host: ShopHost, call: ProgramCall, names: tuple[str, ...]) -> ProgramReply:
    for name in names:
        if not name.startswith("-"):
            reply = _install_file(host, call, name)
            if reply.status:
                return reply
    return ProgramReply()


def _install_file(host: ShopHost, call: ProgramCall, name: str) -> ProgramReply:
    path = inside(host.root, call.cwd, name)
    try:
        found = packages.read_package(path.read_bytes()) if path else None
    except OSError:
        found = None
    if found is None or found[0] not in CATALOGUE:
        return failed(1, f"{call.program}: error: '{name}' is not a package archive")
    package, version, architecture = found
    own = "arm64" if host.spec.machine == "aarch64" else "amd64"
    if architecture != own:
        return failed(
            1,
            f"{call.program}: error: package architecture ({architecture}) "
            f"does not match system ({own})",
        )
    host.install(package, version)
    return ProgramReply()


def apt_key(host: ShopHost, call: ProgramCall) -> ProgramReply:
    """Run ``apt-key add FILE``: note that the key is trusted."""
    if not call.root or call.args[:1] != ("add",):
        return unsupported(call, " ".join(call.args[:1])) if call.root else failed(1, _LOCKED)
    return _import(host, call, call.args[1] if len(call.args) > 1 else "")


def add_apt_repository(host: ShopHost, call: ProgramCall) -> ProgramReply:
    """Run ``add-apt-repository "deb ..."``; only Docker's is known."""
    line = next((word for word in call.args if word.startswith("deb ")), "")
    if "download.docker.com" not in line:
        return unsupported(call, line or "no repository")
    path = host.path(packages.DOCKER_REPOSITORY)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"{line}\n", encoding="utf-8")
    return ProgramReply()


def gpg(host: ShopHost, call: ProgramCall) -> ProgramReply:
    """Run ``gpg --import FILE`` or ``gpg --verify SIGNATURE FILE``."""
    words = [word for word in call.args if not word.startswith("-")]
    if "--version" in call.args:
        return said(f"gpg (GnuPG) {CATALOGUE['gpg'].version}")
    if "--import" in call.args and words:
        return _import(host, call, words[0])
    if "--verify" in call.args and len(words) == 2:  # noqa: PLR2004 - signature and file
        return _verify(host, call, words[0], words[1])
    return unsupported(call, " ".join(call.args))


def _import(host: ShopHost, call: ProgramCall, name: str) -> ProgramReply:
    path = inside(host.root, call.cwd, name)
    try:
        text = path.read_text(encoding="utf-8") if path else ""
    except OSError:
        text = ""
    if not text.startswith("fleet sandbox public key "):
        return failed(2, f"{call.program}: no valid OpenPGP data found in '{name}'")
    ring = host.path(_KEYRING)
    ring.parent.mkdir(parents=True, exist_ok=True)
    with ring.open("a", encoding="utf-8") as file:
        file.write(text)
    return ProgramReply()


def _verify(host: ShopHost, call: ProgramCall, signature: str, content: str) -> ProgramReply:
    signed, signing = (inside(host.root, call.cwd, name) for name in (content, signature))
    try:
        words = signing.read_text(encoding="utf-8").split() if signing else []
        body = signed.read_bytes() if signed else b""
        keys = host.path(_KEYRING).read_text(encoding="utf-8")
    except OSError:
        return failed(2, "gpg: can't check signature: No public key")
    signer = words[3] if len(words) > 3 else ""  # noqa: PLR2004 - "fleet sandbox signature NAME"
    if f"public key {signer}\n" not in keys:
        return failed(2, "gpg: Can't check signature: No public key")
    if packages.signature_bytes(signer, body).decode().split() != words:
        return failed(1, f'gpg: BAD signature from "{signer}"')
    return ProgramReply(0, b"", f'gpg: Good signature from "{signer}"\n'.encode())
