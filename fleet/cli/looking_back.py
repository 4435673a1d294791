"""Looking at what scans recorded: hosts, stories and histories. Asks nobody, changes nothing."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer
from rich.console import RenderableType

from fleet.cli.selecting import choice_of, stores_to_show
from fleet.drift.decide.catalogue import CATALOGUE
from fleet.drift.explaining import explain_code, explain_store, what_is_meant
from fleet.drift.history import history_of
from fleet.drift.hosts import hosts_now
from fleet.drift.view.explain import code_document, code_view, store_document, store_view
from fleet.drift.view.hosts import hosts_document, hosts_view
from fleet.drift.view.store_history import history_document, history_view
from fleet.errors import FleetError, UsageError
from fleet.inventory.decide.selection import Choice
from fleet.inventory.loader import load_fleet
from fleet.model.clock import Clock
from fleet.model.inventory import Fleet, Store
from fleet.runtime.clock import clock_from_environment
from fleet.runtime.state_dir import state_dir
from fleet.runtime.stopping import leaves_at_once
from fleet.runtime.wiring import records_from_environment
from fleet.terminal.screen import console_for

if TYPE_CHECKING:
    from fleet.records.records import Records

#: Exit code where nothing is known because no scan has looked.
NOT_KNOWN = FleetError.exit_code


def show_hosts(choice: Choice, inventory: Path, *, as_json: bool) -> int:
    """``fleet hosts``."""
    with _opened(inventory) as (fleet, records, clock):
        stores = stores_to_show(fleet, choice)
        seen = hosts_now(records, stores, clock.now(), keep_days=fleet.drift.keep_days)
    width = console_for(sys.stdout).width
    _show(hosts_document(seen) if as_json else hosts_view(seen, width))
    return NOT_KNOWN if seen.scan is None or seen.unscanned else 0


def show_explained(what: str, host: str, inventory: Path, *, as_json: bool) -> int:
    """``fleet explain``."""
    with _opened(inventory) as (fleet, records, clock):
        meant = what_is_meant(what, fleet, CATALOGUE)
        if not isinstance(meant, Store):
            if host:
                raise UsageError(
                    f"{meant.code} is a kind of finding and has no hosts",
                    hint=f"fleet explain {meant.code}",
                )
            code = explain_code(records, fleet, meant, clock.now())
            width = console_for(sys.stdout).width
            _show(code_document(code) if as_json else code_view(code, width))
            return 0
        story = explain_store(records, fleet, meant, clock.now(), host=host)
    width = console_for(sys.stdout).width
    _show(store_document(story) if as_json else store_view(story, width))
    return NOT_KNOWN if story.scan is None else 0


def show_history(store: str, days: int, inventory: Path, *, as_json: bool) -> int:
    """``fleet history``."""
    with _opened(inventory) as (fleet, records, clock):
        [chosen] = stores_to_show(fleet, choice_of([store], "", "", every=False))
        history = history_of(records, chosen, clock.now(), days=days)
    width = console_for(sys.stdout).width
    _show(history_document(history) if as_json else history_view(history, width))
    return NOT_KNOWN if history.scan is None else 0


@contextmanager
def _opened(inventory: Path) -> Iterator[tuple[Fleet, "Records", Clock]]:
    clock = clock_from_environment()
    fleet = load_fleet(inventory, state_dir())
    with records_from_environment() as records, leaves_at_once(lambda: "interrupted while reading"):
        yield fleet, records, clock


def _show(what: dict[str, Any] | RenderableType) -> None:
    if isinstance(what, dict):
        typer.echo(json.dumps(what, indent=2))
    else:
        console_for(sys.stdout).print(what)
