"""Import contracts of this project that import-linter has no type for."""

import sys
from collections.abc import Sequence
from typing import cast

from grimp import ImportGraph
from importlinter import Contract, ContractCheck, fields, output


class RoomsContract(Contract):
    """Keeps the modules of a room (``decide``, ``view``) to what they may import.

    A module is in the room when it or one of its parent packages has the room's name. It may
    import the other modules of such rooms (the layers give the direction), the packages in
    ``may_import``, the libraries in ``libraries`` and the standard library. With
    ``imported_by``, only those packages import the room from outside.
    """

    type_name = "rooms"

    room = cast("str", fields.StringField())
    may_import = cast("list[str]", fields.ListField(subfield=fields.StringField()))
    libraries = cast("list[str]", fields.ListField(subfield=fields.StringField()))
    imported_by = cast(
        "list[str] | None", fields.ListField(subfield=fields.StringField(), required=False)
    )

    def check(self, graph: ImportGraph, verbose: bool) -> ContractCheck:
        """Return every import that the room does not allow."""
        del verbose
        inside = {name for name in graph.modules if self.room in name.split(".")}
        allowed = [*self.may_import, *self.libraries, *sys.stdlib_module_names]
        found = [
            (module, imported)
            for module in sorted(inside)
            for imported in sorted(graph.find_modules_directly_imported_by(module) - inside)
            if not _is_in(imported, allowed)
        ]
        if self.imported_by is not None:
            found += [
                (importer, module)
                for module in sorted(inside)
                for importer in sorted(graph.find_modules_that_directly_import(module) - inside)
                if not _is_in(importer, self.imported_by)
            ]
        return ContractCheck(kept=not found, metadata={"found": found})

    def render_broken_contract(self, check: ContractCheck) -> None:
        """Print a line per import that is not allowed."""
        found: Sequence[tuple[str, str]] = check.metadata["found"]
        for importer, imported in found:
            output.print_error(f"{importer} imports {imported}")


def _is_in(module: str, packages: Sequence[str]) -> bool:
    """Return whether a module is one of the packages or inside one of them."""
    return any(module == package or module.startswith(f"{package}.") for package in packages)
