"""What a controller does about owed stores, and what does not end it."""

import threading
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from fleet.errors import RecordsError
from fleet.model.rollout import Phase, VerbName
from fleet.model.verdicts import Stage, Verdict
from fleet.rollout import controller
from fleet.rollout.controller import run_controller
from fleet.rollout.tick import TickContext, rollout_lease
from fleet.runtime.lease import held
from tests.shops import STORES, Shops


def owed(shops: Shops, **fields: Any) -> None:
    """A rollout of one shop that is done, and still owes it the release."""
    shops.start(STORES[0])
    shops.tick()
    with held(shops.records, [rollout_lease("ro-1")], "the test") as own:
        done = replace(
            shops.records.rollouts.load("ro-1"),
            phase=Phase.DONE,
            wave=1,
            why="1 owed",
            finished_at=shops.now(),
        )
        row = replace(shops.row(), **fields)
        shops.records.rollouts.write_tick(own.lease(rollout_lease("ro-1")), done, [row])


def once(shops: Shops, crew: TickContext | None = None) -> None:
    run_controller(crew or shops.crew, threading.Event(), once=True)


def resumed(shops: Shops) -> bool:
    verbs = shops.records.rollouts.verbs("ro-1")
    return any(verb.name is VerbName.RESUME for verb in verbs)


def test_a_store_that_is_back_is_sent_what_it_owes(shops: Shops) -> None:
    owed(shops, stage=Stage.UNDONE, verdict=Verdict.DARK)
    once(shops)
    assert resumed(shops)


def test_a_recalled_release_is_sent_to_nobody_without_a_word(shops: Shops) -> None:
    owed(shops, stage=Stage.UNDONE, verdict=Verdict.DARK)
    with held(shops.records, [rollout_lease("ro-1")], "the test") as own:
        recalled = replace(shops.records.rollouts.load("ro-1"), recalled="2 failures, budget 1")
        shops.records.rollouts.write_tick(own.lease(rollout_lease("ro-1")), recalled)
    once(shops)
    assert not resumed(shops)


def test_a_store_that_could_not_pull_is_left_to_a_person(shops: Shops) -> None:
    owed(shops, verdict=Verdict.UNDELIVERED, since=shops.now() - timedelta(hours=1), pulls_failed=4)
    once(shops)
    assert not resumed(shops)


def test_an_account_that_the_inventory_lost_ends_no_controller(shops: Shops) -> None:
    owed(shops, stage=Stage.UNDONE, verdict=Verdict.DARK)
    fleet = replace(shops.wiring.fleet, accounts={})
    once(shops, replace(shops.crew, wiring=replace(shops.wiring, fleet=fleet)))
    assert shops.warned == [
        "ro-1: stores of account emea-prod owe it, which the inventory does not have any more; "
        "it is tried again"
    ]


def test_a_database_that_is_away_ends_no_controller(
    shops: Shops, monkeypatch: pytest.MonkeyPatch
) -> None:
    stop = threading.Event()
    monkeypatch.setattr(controller, "AWAY_S", 0.0)

    def away() -> tuple[str, ...]:
        if shops.warned:
            stop.set()
        raise RecordsError("the database is away")

    monkeypatch.setattr(shops.records.rollouts, "active", away)
    run_controller(shops.crew, stop)
    assert shops.warned == ["records: the database is away; it is tried again"]


def test_a_rollout_that_another_process_ticks_is_not_asked_for_at_every_moment(
    shops: Shops, monkeypatch: pytest.MonkeyPatch
) -> None:
    shops.start(STORES[0])
    stop, tries, waits = threading.Event(), 0, 0

    def counted(records: Any, names: Any, owner: str) -> Any:
        nonlocal tries
        tries += 1
        return held(records, names, owner)

    def wait(_seconds: float | None = None) -> bool:
        nonlocal waits
        waits += 1
        if waits == 20:
            stop.set()
        return stop.is_set()

    monkeypatch.setattr(controller, "held", counted)
    monkeypatch.setattr(stop, "wait", wait)
    with held(shops.records, [rollout_lease("ro-1")], "fleet rollout on another machine"):
        run_controller(shops.crew, stop)
    assert tries == 1


def test_a_rollout_that_could_not_do_what_it_was_told_goes_on(shops: Shops) -> None:
    shops.start(*STORES[:2])
    shops.run()
    with held(shops.records, [rollout_lease("ro-1")], "the test") as own:
        dark = replace(shops.row(STORES[0]), stage=Stage.UNDONE, verdict=Verdict.DARK)
        lease, done = own.lease(rollout_lease("ro-1")), shops.records.rollouts.load("ro-1")
        shops.records.rollouts.write_tick(lease, done, [dark])
    shops.chain.cut(STORES[0])
    shops.say(VerbName.RESUME)
    shops.tick()
    shops.start(STORES[1])

    verb = shops.say(VerbName.ROLLBACK)
    ticked = shops.tick()

    assert "ro-2 holds" in shops.answer(verb)
    assert (ticked.rollout.phase, ticked.settled.actions) == (Phase.RUNNING, ())
    assert ticked.settled.wake_at is not None
