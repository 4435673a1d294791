"""The status of a rollout: nothing hidden, nothing wider than the screen, numbers that add up."""

import io
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from rich.console import Console, RenderableType

from fleet.model.changes import CONVOY
from fleet.model.overview import NextWindow, Overview, Ticker
from fleet.model.policy import Amount
from fleet.model.printable import who
from fleet.model.rollout import Hold, Phase
from fleet.model.verdicts import Verdict
from fleet.rollout.view.rollout import slowest, status_view, wave_counts, wave_state
from tests import rollouts
from tests.rollouts import NOW

TICKER = Ticker("emea-prod/eu-west-1", "ops-1 fleet rollout", NOW)


def drawn(view: RenderableType, width: int = 120) -> str:
    out = io.StringIO()
    Console(file=out, width=width, markup=False, highlight=False).print(view)
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines())


def status(width: int = 120, **parts: Any) -> str:
    return drawn(status_view(rollouts.overview(**parts), width), width)


def busy() -> Overview:
    """Every kind of trouble at once."""
    changes = list(
        rollouts.changes(
            store_002=Verdict.FAILED,
            store_003=Verdict.CHANGED_BY_HAND,
            store_004=Verdict.DARK,
            store_005=Verdict.WAITING,
            store_006=Verdict.UNDELIVERED,
        )
    )
    changes[6] = rollouts.planned("store-007", wave=0, verdict=Verdict.PARKED, reason="away")
    return rollouts.overview(
        changes=tuple(changes),
        gate=rollouts.gate(),
        phase=Phase.HALTED,
        why="2 failures are over the budget of 1",
        verbs=(rollouts.verb(why="looks bad"),),
        tickers=(TICKER,),
        waits=("a person: resume or rollback",),
        next_window=NextWindow(NOW + timedelta(hours=3), "store-009", 4),
        held_by=(Hold("store-010", "vision", "ro-117", rollouts.CALLER, NOW),),
    )


def test_every_store_is_counted_in_exactly_one_wave() -> None:
    overview = busy()

    waves = wave_counts(overview.rollout, overview.changes)

    assert [w.stores for w in waves] == [8, 32]
    assert [sum(w.count.values()) for w in waves] == [8, 32]


def test_stores_that_came_back_are_a_convoy_after_the_waves() -> None:
    back = rollouts.change("store-007", wave=CONVOY)

    names = [w.name for w in wave_counts(rollouts.rollout(), (back,))]

    assert names == ["canary", "wave 1", "convoy"]


def test_the_slowest_store_comes_first() -> None:
    fast = rollouts.change("a", sent_at=NOW - timedelta(seconds=5))
    slow = rollouts.change("b", sent_at=NOW - timedelta(seconds=50))

    assert slowest((fast, slow), NOW) == ((slow, 50.0), (fast, 5.0))


@pytest.mark.parametrize("width", [40, 60, 80, 120, 200])
def test_no_line_is_wider_than_the_screen(width: int) -> None:
    text = drawn(status_view(busy(), width), width)

    assert max(map(len, text.splitlines())) <= width


@pytest.mark.parametrize("width", [60, 80, 120])
def test_all_trouble_is_named_whatever_the_width(width: int) -> None:
    text = " ".join(drawn(status_view(busy(), width), width).split())

    for word in ("store-002", "store-003", "store-004", "store-006", "store-007", "ro-117"):
        assert word in text
    for word in ("HALTED", "looks bad", "not obeyed yet", "04:14 GMT there", "GATE canary HALT"):
        assert word in text


def test_a_rollout_that_nobody_ticks_says_so_and_how_to() -> None:
    text = status()

    assert "NOBODY ticks it now" in text
    assert "fleet rollout resume ro-118" in text


def test_a_rollout_that_is_ticked_names_who_and_how_lately() -> None:
    assert "4s ago (tick 12) by ops-1 fleet rollout" in status(tickers=(TICKER,))


def test_a_baking_wave_says_how_long_still() -> None:
    text = status(baking_since=NOW - timedelta(seconds=60), tickers=(TICKER,))

    assert "baking, 9m left" in text


def test_the_phase_is_dated_by_its_own_event() -> None:
    turned = replace(rollouts.event("phase", "halted"), at=NOW - timedelta(minutes=3))

    text = status(phase=Phase.HALTED, events=(turned,))

    assert "HALTED since 01:11:20Z (3m ago)" in text


def test_a_long_list_is_cut_and_counted() -> None:
    many = tuple(rollouts.change(f"store-{n:03}", Verdict.FAILED) for n in range(1, 30))

    assert "and 17 more" in status(changes=many)


def test_a_verb_that_was_obeyed_is_not_pending() -> None:
    assert "not obeyed" not in status(verbs=(rollouts.verb(answer="paused"),))


def test_verdicts_that_no_store_has_get_no_column() -> None:
    assert "UNDELIVERED" not in status()
    assert "UNDELIVERED" in status(changes=rollouts.changes(store_001=Verdict.UNDELIVERED))


def test_the_same_name_in_several_accounts_is_said_once() -> None:
    other = rollouts.CALLER.replace("111122223333", "444455556666")

    assert who(f"{rollouts.CALLER}, {other}") == "fleet-operator/on-call"


def test_one_that_waits_for_a_person_needs_nobody_to_tick_it() -> None:
    text = status(phase=Phase.HALTED)

    assert "it rests until somebody says something" in text
    assert "NOBODY" not in text


def test_what_it_waits_for_is_not_said_twice() -> None:
    text = status(phase=Phase.HALTED, why="over budget", waits=("over budget",))

    assert text.count("over budget") == 1


def test_where_there_is_nothing_left_to_type_the_last_line_is_not_blank() -> None:
    done = status(phase=Phase.DONE, finished_at=NOW, changes=rollouts.changes())

    assert "next" not in done
    assert done.splitlines()[-1]


def weighed(**limits: str) -> Overview:
    """The canary of eight with 2 each, of which one is in flight, and 32 stores with 0.75 each."""
    spec = rollouts.spec()
    places = {
        store: replace(place, weight=Decimal(2) if store < "store-009" else Decimal("0.75"))
        for store, place in spec.places.items()
    }
    shares: dict[str, Any] = {key: Amount(percent=Decimal(share)) for key, share in limits.items()}
    spec = replace(spec, places=places, policy=replace(spec.policy, **shares))
    return rollouts.overview(spec=spec, changes=rollouts.changes(store_005=Verdict.WAITING))


def test_the_status_shows_the_weight_of_each_wave() -> None:
    assert [wave.weight for wave in wave_counts(weighed().rollout, weighed().changes)] == [
        "40 %",
        "60 %",
    ]
    shown = drawn(status_view(weighed(), 120))
    assert ["canary", "8", "40", "%"] in [line.split()[:4] for line in shown.splitlines()]
    assert "8 stores, 40 % of the weight: " in drawn(status_view(weighed(), 50), 50)


def test_the_status_shows_the_weight_in_flight_beside_its_limit() -> None:
    shown = drawn(status_view(weighed(max_weight_in_flight="5", max_weight_per_wave="40"), 120))
    assert "5 % in flight, limit 5%; a wave at most 40%" in shown


def test_the_status_of_stores_that_weigh_the_same_says_nothing_of_weights() -> None:
    assert "WEIGHT" not in status()


@pytest.mark.parametrize(
    ("phase", "state"), [(Phase.HALTED, "to come"), (Phase.ABORTED, "not sent")]
)
def test_a_later_wave_comes_only_while_the_rollout_has_not_ended(phase: Phase, state: str) -> None:
    overview = rollouts.overview(phase=phase)

    *_, last = wave_counts(overview.rollout, overview.changes)

    assert wave_state(overview, last) == state
