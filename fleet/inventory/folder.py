"""The folder of an inventory: which files there are, and their text."""

import hashlib
from pathlib import Path

from fleet.errors import InventoryError, Problem
from fleet.inventory.checking import Problems
from fleet.inventory.document import Document, read_yaml


def templates_folder(root: Path) -> Path:
    """Where the templates of an inventory are: ``templates/`` beside it."""
    named = root if root.name not in {"", "..", "."} else root.resolve()
    return named.parent / "templates"


class Folder:
    """Reads an inventory's files; what cannot be read becomes a problem.

    Attributes:
        root: as the person gave it.
        files: paths read so far, in order.
    """

    def __init__(self, root: Path, problems: Problems) -> None:
        self.root = root
        self.files: list[str] = []
        self._problems = problems
        self._digest = hashlib.sha256()

    @property
    def digest(self) -> str:
        """SHA-256 over the names and contents read so far."""
        return self._digest.hexdigest()

    def members(self, folder: str, *suffixes: str) -> list[Path]:
        """The files of a folder with one of these suffixes, by name; others become problems.

        Files that begin with a dot (editors' own) and ``README.md`` are passed over.
        """
        try:
            entries = sorted((self.root / folder).iterdir())
        except FileNotFoundError:
            return []
        except OSError as error:
            self._problem(self.root / folder, f"cannot be read: {error.strerror}")
            return []
        found = []
        for entry in entries:
            if entry.name.startswith(".") or entry.name == "README.md":
                continue
            if entry.suffix in suffixes:
                found.append(entry)
            else:
                self._problem(entry, "is not read", f"{folder}/ holds {' and '.join(suffixes)}")
        return found

    def text(self, path: Path, *, counts: bool = True) -> str | None:
        """The text of a file, counted in the digest; None after a problem.

        Args:
            counts: False for what says nothing about what stores run.
        """
        try:
            content = path.read_bytes()
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

    def _count(self, path: Path, content: bytes) -> None:
        name = path.name if path.parent == self.root else f"{path.parent.name}/{path.name}"
        self._digest.update(f"{name}\0{len(content)}\0".encode())
        self._digest.update(content)

    def yaml(self, path: Path, *, counts: bool = True) -> Document | None:
        """A YAML file; None after its problems have been added."""
        text = self.text(path, counts=counts)
        if text is None:
            return None
        try:
            return read_yaml(text, str(path))
        except InventoryError as error:
            self._problems.extend(error.problems)
            return None

    def _problem(self, path: Path, message: str, hint: str | None = None, line: int = 0) -> None:
        self._problems.add(Problem(str(path), line, "", message, hint))
