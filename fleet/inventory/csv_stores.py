"""Reads stores from CSV: one row per store, for chains that keep them in a spreadsheet.

The first line names the columns; ``id`` is needed, the others may be left out, and an empty cell
inherits like a key that is not written. Lines that begin with ``#`` are comments.

    id, name, cluster, account, region, time_zone, ring, lifecycle, address, probe,
    powered      a word
    groups       small;lte
    hours        mon-fri 08:00-22:00; sat 09:00-13:00 15:00-20:00; sun closed
    labels       market=emea;format=high-street        attributes likewise
    weight       a number: sales, visitors or what else makes one store matter more than another
    link         lte, or kind=lte;metered=true;price_per_gb=4.50;carrier=EE
    hosts        cam-1:xavier-nx;tel-1:nuc:10.4.2.17   name:hardware[:address]
    x-...        anything, kept as it is
"""

import csv
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any

from fleet.errors import Problem
from fleet.inventory.document import Map, Plain, YamlDocument, nearest
from fleet.inventory.files import Problems


class _CellError(ValueError):
    """A cell that is not in its column's form."""


def read_table(text: str, file: str, problems: Problems) -> YamlDocument:
    """Return the rows of a CSV file in the YAML form of ``stores``; wrong rows become problems."""
    content = Map()
    content["stores"] = Map()
    document = YamlDocument(file, content)
    try:
        for line, row in _rows(text, file, problems):
            _add(row, line, document, problems)
    except csv.Error as error:
        problems.add(Problem(file, 0, "", f"is not CSV: {error}"))
    return document


def _rows(text: str, file: str, problems: Problems) -> Iterator[tuple[int, dict[str, str]]]:
    reader = csv.reader(_without_comments(text), strict=True)
    columns: list[str] | None = None
    line = 0
    for cells in reader:
        # A quoted cell may hold line breaks: a row begins where the one before it ended.
        line, ended = line + 1, reader.line_num
        if any(cell.strip() for cell in cells):
            if columns is None:
                columns = _columns(cells, file, line, problems)
                if columns is None:
                    return
            elif len(cells) != len(columns):
                message = f"the row has {len(cells)} cells, the header has {len(columns)}"
                problems.add(Problem(file, line, cells[0], message))
            else:
                pairs = zip(columns, cells, strict=True)
                yield line, {column: cell.strip() for column, cell in pairs}
        line = ended
    if columns is None:
        problems.add(Problem(file, 0, "", "has no header line", "begin with: id,name,account"))


def _without_comments(text: str) -> Iterable[str]:
    """Yield the lines, with comments blanked so that line numbers stay."""
    for line in text.splitlines(keepends=True):
        yield "\n" if line.startswith("#") else line


def _columns(cells: list[str], file: str, line: int, problems: Problems) -> list[str] | None:
    columns = [cell.strip() for cell in cells]
    separator = next((mark for mark in ";\t|" if len(columns) == 1 and mark in columns[0]), None)
    found: list[Problem] = []
    if separator:
        message = f"the columns are separated by {separator!r}"
        found.append(Problem(file, line, "", message, "save it separated by commas"))
    else:
        found += [
            Problem(file, line, column, f'unknown column "{column}"', nearest(column, [*_CELLS]))
            for column in columns
            if column not in _CELLS and not column.startswith("x-")
        ]
        twice = {column for column in columns if columns.count(column) > 1}
        found += [Problem(file, line, column, "the column is there twice") for column in twice]
        if "id" not in columns:
            found.append(Problem(file, line, "id", 'the column "id" is missing'))
    problems.extend(found)
    return None if found else columns


def _add(row: Mapping[str, str], line: int, document: YamlDocument, problems: Problems) -> None:
    identity = row["id"]
    stores: Map = document.value["stores"]
    if not identity:
        problems.add(Problem(document.file, line, "id", "the row has no id"))
        return
    if identity in stores:
        message = f"is written twice, first in line {document.rows[identity]}"
        problems.add(Problem(document.file, line, identity, message))
        return
    made = Map(line)
    for column, cell in row.items():
        if column == "id" or not cell:
            continue
        if column.startswith("x-"):
            made.extras[column] = cell
            continue
        try:
            made[column] = _CELLS[column](cell)
        except _CellError as error:
            where = f"{identity}.{column}"
            problems.add(Problem(document.file, line, where, str(error)))
            document.unreadable.add(identity)
    stores[identity] = made
    document.rows[identity] = line


def _parts(cell: str) -> list[str]:
    return [part.strip() for part in cell.split(";") if part.strip()]


def _pairs(cell: str) -> Map:
    made = Map()
    for part in _parts(cell):
        key, equals, value = (word.strip() for word in part.partition("="))
        if not equals or not key:
            raise _CellError(f'"{part}" is not name=value; write market=emea;format=kiosk')
        if key in made:
            raise _CellError(f'"{key}" is written twice')
        made[key] = Plain(value)
    return made


def _link(cell: str) -> Map:
    if "=" in cell:
        return _pairs(cell)
    made = Map()
    made["kind"] = Plain(cell)
    return made


def _hosts(cell: str) -> Map:
    made = Map()
    for part in _parts(cell):
        name, _, rest = part.partition(":")
        hardware, _, address = rest.partition(":")
        if not hardware:
            raise _CellError(f'"{part}" is not name:hardware or name:hardware:address')
        if name in made:
            raise _CellError(f'the host "{name}" is written twice')
        host = Map()
        host["hardware"] = hardware.strip()
        if address:
            host["address"] = address.strip()
        made[name.strip()] = host
    return made


#: Column -> what its cells mean; cached, because thousands of rows say the same.
_CELLS: Mapping[str, Callable[[str], Any]] = {
    "id": str,
    "name": str,
    "cluster": str,
    "account": str,
    "region": str,
    "time_zone": str,
    "hours": str,
    "ring": str,
    "lifecycle": str,
    "address": str,
    "probe": str,
    "weight": Plain,
    "powered": str,
    "groups": lru_cache(maxsize=4096)(_parts),
    "labels": lru_cache(maxsize=4096)(_pairs),
    "attributes": lru_cache(maxsize=4096)(_pairs),
    "link": lru_cache(maxsize=4096)(_link),
    "hosts": lru_cache(maxsize=4096)(_hosts),
}
