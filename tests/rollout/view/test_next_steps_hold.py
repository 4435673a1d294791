"""Every proposed command is understood, is not refused, and does what is said of it."""

import shlex
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import Phase as Step
from typer.main import get_command

from fleet.cli.main import app
from fleet.model.changes import Change
from fleet.model.overview import Overview
from fleet.model.rollout import Phase, VerbName
from fleet.model.verdicts import Stage, Verdict
from fleet.rollout.decide.store_choice import choose_stores
from fleet.rollout.decide.tick import settle
from fleet.rollout.decide.tick_state import TickState
from fleet.rollout.decide.verbs import accepted_by_resume, obey, sent_after_resume
from fleet.rollout.view.next_steps import NextStep, next_steps, store_steps
from tests import rollouts
from tests.cli.test_proposed_commands import parse
from tests.rollout.decide.rollout_world import World
from tests.rollout.decide.test_tick_properties import stories

#: What a verb answers that had nothing to do.
REFUSED = ("it is ", "nothing", "none of these", "no store has failed", "name the stores")


def with_effects(overview: Overview) -> Overview:
    state = TickState(overview.rollout, overview.changes, overview.at)
    return replace(
        overview,
        resume_accepts=accepted_by_resume(state),
        resume_sends=sent_after_resume(state),
    )


def steps_of(world: World) -> list[tuple[Overview, NextStep]]:
    overview = with_effects(Overview(world.rollout, world.now, world.changes))
    every = [*next_steps(overview)]
    for change in world.changes:
        every += store_steps(overview, change.store)
    return [(overview, step) for step in every]


def told(overview: Overview, step: NextStep) -> tuple[TickState, str, int] | None:
    """The state after the verb and one tick, its answer, and how many calls it decided to make."""
    words = shlex.split(step.command.words)
    if words[:2] != ["fleet", "rollout"] or words[2] not in set(VerbName):
        return None
    state = TickState(overview.rollout, overview.changes, overview.at)
    verb = rollouts.verb(VerbName(words[2]), id=1, stores=tuple(words[5:]))
    answer = obey(state, [verb])[1]
    choice = choose_stores(state)
    settled = settle(state, choice, frozenset(choice.to_send))
    return state, answer, len(settled.actions)


def is_accepted(change: Change) -> bool:
    return change.failure_accepted or change.next_send.overwrite


def check(overview: Overview, step: NextStep) -> None:
    parse(get_command(app), "fleet", shlex.split(step.command.words)[1:])
    done = told(overview, step)
    if done is None:
        assert not step.command.sends
        return
    state, answer, calls = done
    is_ticked = overview.rollout.phase in {Phase.RUNNING, Phase.ROLLING_BACK}
    assert is_ticked or not answer.startswith(REFUSED), (step, answer)
    if not step.command.sends and not is_ticked:
        assert calls == 0, (step, answer)
    before = {c.key for c in overview.changes if is_accepted(c)}
    new = [c for c in state.changes if is_accepted(c) and c.key not in before]
    assert bool(step.command.accepts) or not new, (step, new)


a_few = settings(
    max_examples=10,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    phases=[Step.explicit, Step.reuse, Step.generate],
)


@a_few
@given(stories())
def test_what_is_proposed_is_not_refused_and_does_what_it_says(world: World) -> None:
    for overview, step in steps_of(world):
        check(overview, step)


@pytest.mark.parametrize("phase", list(Phase))
@pytest.mark.parametrize("verdict", [Verdict.FAILED, Verdict.DARK, Verdict.CHANGED_BY_HAND])
def test_it_holds_in_every_phase(phase: Phase, verdict: Verdict) -> None:
    stage = Stage.HELD if verdict is Verdict.CHANGED_BY_HAND else Stage.SENT
    rows = [replace(c, content="c" * 64) for c in rollouts.changes()]
    rows[1] = replace(rows[1], verdict=verdict, stage=stage)
    ended = rollouts.NOW if phase.has_ended else None
    overview = rollouts.overview(phase=phase, changes=tuple(rows), finished_at=ended)
    overview = with_effects(overview)

    for step in [*next_steps(overview), *store_steps(overview, rows[1].store)]:
        check(overview, step)


def halted(**fields: Any) -> Overview:
    failed = rollouts.changes(store_002=Verdict.FAILED, store_003=Verdict.FAILED)
    return with_effects(rollouts.overview(**{"phase": Phase.HALTED, "changes": failed, **fields}))


def test_after_a_halt_resume_says_what_it_accepts_and_what_it_sends() -> None:
    [step] = [s for s in next_steps(halted()) if " resume " in s.command.words]

    assert step.command.accepts == "2 failures in arm64"
    assert step.what == "accept 2 failures in arm64, send it to wave 1: 32 stores"


def test_a_rollout_that_was_rolled_back_does_not_lead_to_itself() -> None:
    steps = next_steps(rollouts.overview(phase=Phase.ROLLED_BACK))

    assert [s.command.words for s in steps] == ["fleet plan vision"]
