"""Screens say how old they are, who watches the earlier stores, and what was recalled."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from fleet.model.overview import Overview, Ticker, Watch
from fleet.model.policy import Policy
from fleet.model.rollout import Phase
from fleet.model.verdicts import Standing, Verdict
from fleet.rollout.view.next_steps import next_steps
from fleet.rollout.view.rollout import wave_counts, wave_state
from fleet.rollout.view.watched import age_words, read_at, watch_words
from tests import rollouts
from tests.rollouts import NOW, change

SOMEBODY = Ticker("controller", "controller on ops-1", NOW)
FRESH_S = Policy("standard").fresh_s


def seen(seconds: float, verdict: Verdict = Verdict.OK, **fields: Any) -> Any:
    return change("store-001", verdict, looked_at=NOW - timedelta(seconds=seconds), **fields)


@pytest.mark.parametrize(
    ("seconds", "words"), [(FRESH_S, ""), (FRESH_S + 1, "read up to 5m01s ago")]
)
def test_what_is_older_than_fresh_carries_its_age(seconds: float, words: str) -> None:
    assert age_words(rollouts.overview(), NOW - timedelta(seconds=seconds)) == words


def test_the_age_of_a_wave_is_that_of_its_oldest_reading() -> None:
    rows = [seen(30), replace(seen(600), store="store-002")]
    assert read_at(rows) == NOW - timedelta(seconds=600)


@pytest.mark.parametrize("verdict", [Verdict.FAILED, Verdict.CHANGED_BY_HAND])
def test_what_is_final_has_no_age(verdict: Verdict) -> None:
    assert read_at([seen(9999, verdict)]) is None


def test_a_passed_wave_says_what_is_true_now_and_how_old_that_is() -> None:
    rows = [
        replace(seen(600), store="store-001"),
        replace(seen(60, Verdict.DARK), store="store-002"),
    ]
    here = rollouts.overview(wave=1, changes=tuple(rows))
    (canary, *_) = wave_counts(here.rollout, here.changes)
    assert canary.count[Standing.DARK] == 1
    assert wave_state(here, canary) == "passed, read up to 10m ago"


def watched(**parts: Any) -> Overview:
    return rollouts.overview(**{"watch": Watch(57, 600.0, None), **parts})


def test_the_period_is_said_and_that_nobody_reads_while_nobody_ticks() -> None:
    assert watch_words(watched(controller=SOMEBODY)) == "57 stores of earlier waves, each every 10m"
    assert watch_words(watched()).endswith("when somebody ticks it: nobody does now")


def test_a_longer_period_than_the_policy_wants_is_explained() -> None:
    words = watch_words(watched(watch=Watch(10_000, 5000.0, None), controller=SOMEBODY))
    assert words == "10000 stores of earlier waves, each every 1h23m, as the read budget allows"


def done(**parts: Any) -> Overview:
    until = NOW + timedelta(days=1)
    return watched(watch=Watch(57, 600.0, until), phase=Phase.DONE, finished_at=NOW, **parts)


def test_a_rollout_that_is_done_names_until_when_and_by_whom_it_is_watched() -> None:
    assert "by the controller: 57 stores" in watch_words(done(controller=SOMEBODY))
    assert watch_words(done()).endswith(
        ", when `fleet drift` runs; `fleet controller` would read each every 10m"
    )


def test_a_recalled_release_is_taken_back_by_what_is_proposed_first() -> None:
    first, *_ = next_steps(done(recalled="canary would not pass now"))
    assert first.command.words == "fleet rollout rollback ro-118"
