"""Whoever says what is owed says the same: rows, SQL, documents, screens, hints and ``resume``."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from itertools import product
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fleet.model.changes import Change, NextSend
from fleet.model.overview import Overview
from fleet.model.rollout import Phase, Verb, VerbName
from fleet.model.verdicts import Stage, Verdict
from fleet.records.opening import open_records
from fleet.records.records import Records
from fleet.rollout.decide.tick_state import TickState
from fleet.rollout.decide.verbs import obey
from fleet.rollout.view.documents import status_document
from fleet.rollout.view.next_steps import next_steps
from fleet.rollout.view.rollout import status_view
from fleet.rollout.view.summary import summary_view
from tests import rollouts
from tests.rollout.view.test_rollout import drawn
from tests.rollouts import NOW

#: Every combination of what a change's row can say about being owed, a store for each.
ROWS = tuple(
    rollouts.change(
        f"store-{number:03}",
        verdict,
        stage=stage,
        ok_at=NOW if was_ok else None,
        next_send=NextSend(was_set_back=was_set_back),
    )
    for number, (stage, verdict, was_ok, was_set_back) in enumerate(
        product(Stage, Verdict, (False, True), (False, True))
    )
)


@pytest.fixture
def records(tmp_path: Path) -> Iterator[Records]:
    with open_records(None, tmp_path) as opened:
        yield opened


@pytest.mark.parametrize("phase", Phase)
def test_sql_says_what_the_rows_say(records: Records, phase: Phase) -> None:
    began = records.rollouts.start(
        rollouts.spec(), ROWS, (), caller=rollouts.CALLER, at=NOW, run="run-1"
    )
    lease = records.leases.take("shard", "me", 30.0)
    assert lease is not None
    ended = replace(began, phase=phase, finished_at=NOW, updated_at=NOW)
    records.rollouts.write_tick(lease, ended)

    owed = {change.key for _, change in records.rollouts.owed()}

    expected = {c.key for c in ROWS if c.owes} if phase is Phase.DONE else set()
    assert owed == expected


some_rows = st.sets(st.integers(0, len(ROWS) - 1), max_size=4).map(
    lambda numbers: tuple(ROWS[number] for number in sorted(numbers))
)


def overview(phase: Phase, changes: tuple[Change, ...]) -> Overview:
    return Overview(rollout=rollouts.rollout(phase=phase), at=NOW, changes=changes)


@given(phase=st.sampled_from(Phase), rows=some_rows)
@settings(max_examples=150, deadline=None)
def test_every_screen_names_the_stores_that_owe(phase: Phase, rows: tuple[Change, ...]) -> None:
    seen = overview(phase, rows)
    owing = [] if phase.forgives else [c.store for c in rows if c.owes]
    stores = f"{len(owing)} store{'' if len(owing) == 1 else 's'}"

    status, summary = drawn(status_view(seen, 200), 200), drawn(summary_view(seen, 200), 200)

    assert status_document(seen)["owed"] == owing
    assert (f"Owed by {stores}:" in status) is bool(owing)
    assert all(store in status.partition("Owed by")[2] for store in owing)
    assert (f"by {stores}: {', '.join(owing)}" in summary) is bool(owing)


@given(rows=some_rows)
@settings(max_examples=150, deadline=None)
def test_resume_is_offered_exactly_where_it_has_something_to_send(rows: tuple[Change, ...]) -> None:
    seen = overview(Phase.DONE, rows)
    state = TickState(replace(seen.rollout, finished_at=NOW), rows, NOW + timedelta(minutes=1))
    verb = Verb(1, "ro-118", VerbName.RESUME, (), rollouts.CALLER, NOW)

    answer = obey(state, [verb])[1]

    offered = any(" resume " in step.command.words for step in next_steps(seen))
    assert offered is any(change.owes for change in rows)
    assert offered is (answer != "it is done and nothing is owed")
    assert (state.rollout.phase is Phase.RUNNING) is offered
