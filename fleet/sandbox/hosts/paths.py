"""Paths that a host's programs were given, kept inside that host."""

from pathlib import Path


def inside(root: Path, cwd: Path, given: str) -> Path | None:
    """The path as this machine has it, or None when it leaves the host's root folder.

    Scripts on hosts write paths with the root before them, so an absolute one is taken as it is.
    """
    path = (cwd / given).resolve()
    return path if path.is_relative_to(root.resolve()) else None
