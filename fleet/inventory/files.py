"""Reads the files of an inventory as bytes, and collects problems."""

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from fleet.errors import InventoryError, Problem

YAML = (".yaml", ".yml")
#: Folder -> suffixes of the files that are read there.
FOLDERS = {"hardware": YAML, "stores": (*YAML, ".csv"), "workloads": YAML}


class Problems:
    """Collects problems, each once."""

    def __init__(self) -> None:
        self._found: dict[Problem, None] = {}

    def add(self, problem: Problem) -> None:
        """Add a problem."""
        self._found[problem] = None

    def extend(self, problems: Sequence[Problem]) -> None:
        """Add several problems."""
        self._found.update(dict.fromkeys(problems))

    def __len__(self) -> int:
        return len(self._found)

    def __iter__(self) -> Iterator[Problem]:
        return iter(self._found)

    def raise_any(self) -> None:
        """Raise InventoryError with all of them, if there are any."""
        if self._found:
            raise InventoryError(tuple(self._found))


def templates_folder(root: Path) -> Path:
    """Return where the templates of an inventory are: ``templates/`` beside it."""
    named = root if root.name not in {"", "..", "."} else root.resolve()
    return named.parent / "templates"


class Folder:
    """Reads the files of an inventory, each once; what cannot be read becomes a problem.

    Attributes:
        root: as the person gave it.
        files: paths that were asked for, in order.
        problems: what is wrong, with the folder and with what its files say.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.files: list[str] = []
        self.problems = Problems()
        self._contents: dict[Path, bytes] = {}
        self._digest = hashlib.sha256()

    @property
    def digest(self) -> str:
        """SHA-256 over the names and contents that were asked for and say what stores run."""
        return self._digest.hexdigest()

    def fingerprint(self) -> str | None:
        """Return a SHA-256 over the names and contents of all files that a fleet is made from.

        Returns None when one cannot be read, so that it is read again and the problem told.
        """
        made = hashlib.sha256(str(self.root).encode())
        try:
            for path in self._all_files():
                is_read = path.suffix in (*YAML, ".csv", ".j2")
                content = self._bytes(path) if is_read else b""
                made.update(f"{path}\0{len(content)}\0".encode())
                made.update(content)
        except OSError:
            return None
        return made.hexdigest()

    def members(self, name: str) -> list[Path]:
        """Return the files of a folder that are read, by name; others become problems."""
        try:
            entries = self._entries(name)
        except OSError as error:
            self._problem(self.root / name, f"cannot be read: {error.strerror}")
            return []
        suffixes = FOLDERS[name]
        for entry in entries:
            if entry.suffix not in suffixes:
                self._problem(entry, "is not read", f"{name}/ holds {' and '.join(suffixes)}")
        return [entry for entry in entries if entry.suffix in suffixes]

    def text(self, path: Path, *, counts: bool = True) -> str | None:
        """Return the text of a file, counted in the digest; None after a problem.

        Args:
            counts: False for what says nothing about what stores run.
        """
        try:
            content = self._bytes(path)
        except FileNotFoundError:
            self._problem(path, "there is no such file")
            return None
        except OSError as error:
            self._problem(path, f"cannot be read: {error.strerror}")
            return None
        self.files.append(str(path))
        if counts:
            self._count(path, content)
        try:
            return content.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            line = content.count(b"\n", 0, error.start) + 1
            self._problem(path, "is not UTF-8 text", "save it as UTF-8", line)
            return None

    def _all_files(self) -> Iterator[Path]:
        for name in ("fleet.yaml", "ignores.yaml"):
            if (self.root / name).exists():
                yield self.root / name
        for name in FOLDERS:
            yield from self._entries(name)
        yield from sorted(templates_folder(self.root).rglob("*.j2"))

    def _entries(self, name: str) -> list[Path]:
        """Return the files of a folder, without README.md and files that begin with a dot."""
        folder = self.root / name
        if not folder.exists():
            return []
        entries = sorted(folder.iterdir())
        return [one for one in entries if not one.name.startswith(".") and one.name != "README.md"]

    def _bytes(self, path: Path) -> bytes:
        if path not in self._contents:
            self._contents[path] = path.read_bytes()
        return self._contents[path]

    def _count(self, path: Path, content: bytes) -> None:
        name = path.name if path.parent == self.root else f"{path.parent.name}/{path.name}"
        self._digest.update(f"{name}\0{len(content)}\0".encode())
        self._digest.update(content)

    def _problem(self, path: Path, message: str, hint: str | None = None, line: int = 0) -> None:
        self.problems.add(Problem(str(path), line, "", message, hint))
