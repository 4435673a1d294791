"""The index of a rollout's changes: it says what a scan of all of them would."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.model.changes import CONVOY, Change
from fleet.model.verdicts import Stage, Verdict
from fleet.rollout.decide.change_index import ChangeIndex
from fleet.rollout.decide.store_choice import is_watched, may_be_watched
from fleet.rollout.decide.tick import is_unsettled, unsettled
from fleet.rollout.decide.tick_state import TickState, is_in_flight, is_sent, is_unsent
from fleet.rollout.decide.watch import is_good_or_gone
from tests import rollouts
from tests.rollout.decide.tick_states import after, rollout

STORES = ("store-3", "store-1", "store-2")
SERVICES = ("vision-arm64", "telemetry-arm64")
KEYS = [(store, service) for store in STORES for service in SERVICES]
WAVES = (CONVOY, 0, 1, 2)
KINDS: Sequence[Callable[[Change], bool]] = (
    is_sent,
    is_unsent,
    is_in_flight,
    is_good_or_gone,
    may_be_watched,
)


@st.composite
def changes(draw: st.DrawFn, key: tuple[str, str] | None = None) -> Change:
    store, service = key or draw(st.sampled_from(KEYS))
    fields: dict[str, Any] = {
        "stage": draw(st.sampled_from(Stage)),
        "wave": draw(st.sampled_from(WAVES)),
        "sends": draw(st.integers(0, 2)),
        "pulls_failed": draw(st.integers(0, 9)),
        "ok_at": draw(st.sampled_from((None, after(0)))),
        "look_at": draw(st.sampled_from((None, after(0), after(900)))),
    }
    verdict = draw(st.sampled_from(Verdict))
    return replace(rollouts.change(store, verdict), service=service, **fields)


@st.composite
def given_changes(draw: st.DrawFn) -> list[Change]:
    return [draw(changes(key)) for key in KEYS]


def plain(rows: dict[tuple[str, str], Change]) -> dict[str, Any]:
    """What the index answers, found by a scan of all changes."""
    found = list(rows.values())
    first = {store: next(c for c in found if c.store == store) for store in STORES}
    return {
        "all": found,
        "stores": [[c for c in found if c.store == store] for store in (*STORES, "store-9")],
        "waves": [[c for c in found if c.wave == wave] for wave in WAVES],
        "kinds": [[c for c in found if holds(c)] for holds in KINDS],
        "first": [[c for c in found if holds(c) and c is first[c.store]] for holds in KINDS],
        "of wave": [[c for c in found if holds(c) and c.wave == 1] for holds in KINDS],
    }


def indexed(index: ChangeIndex) -> dict[str, Any]:
    return {
        "all": list(index.all()),
        "stores": [list(index.of_store(store)) for store in (*STORES, "store-9")],
        "waves": [index.of_wave(wave) for wave in WAVES],
        "kinds": [index.where(holds) for holds in KINDS],
        "first": [index.first_where(holds) for holds in KINDS],
        "of wave": [index.where(holds, wave=1) for holds in KINDS],
    }


@given(given_changes(), st.lists(changes(), max_size=8), st.lists(changes(), max_size=4))
def test_it_says_what_a_scan_says_after_any_changes(
    rows: list[Change], put: list[Change], put_later: list[Change]
) -> None:
    index, known = ChangeIndex(rows), {c.key: c for c in rows}
    for change in put:
        assert indexed(index) == plain(known)
        assert index.put(change) == known[change.key]
        known[change.key] = change
    assert indexed(index) == plain(known)
    later, before = index.copy(), dict(known)
    for change in put_later:
        later.put(change)
        known[change.key] = change
        assert indexed(later) == plain(known)
    assert indexed(index) == plain(before)


def test_a_change_that_was_not_given_is_refused() -> None:
    index = ChangeIndex([rollouts.change("store-1")])
    with pytest.raises(KeyError):
        index.put(rollouts.change("store-2"))


@given(given_changes(), st.sampled_from((0, 1, 2)))
def test_nothing_is_watched_or_unsettled_that_is_not_looked_for(
    rows: list[Change], wave: int
) -> None:
    state = TickState(rollout(*rows, wave=wave), rows, after(60))
    assert all(may_be_watched(c) for c in rows if is_watched(state, c))
    for number in WAVES:
        scanned = [c for c in rows if c.wave == number and is_unsettled(state, c)]
        assert unsettled(state, number) == scanned
