"""Telling a rollout something: what is refused, who obeys, and what is done when nobody does."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from fleet.cli import rollout_verbs
from fleet.cli.main import app
from fleet.cli.rollout_verbs import tell
from fleet.errors import UsageError
from fleet.model.rollout import Phase, VerbName
from fleet.model.verdicts import Verdict
from fleet.rollout.verbs import VerbRequest
from fleet.runtime.wiring import records_from_environment
from tests import rollouts
from tests.cli.rollout_desk import begin

INVENTORY = Path(__file__).resolve().parents[2] / "inventory"
Said = pytest.CaptureFixture[str]

pytestmark = pytest.mark.usefixtures("desk", "_known_caller")


@pytest.fixture
def _known_caller(monkeypatch: pytest.MonkeyPatch) -> None:
    """AWS knows who we are; there is none here to ask."""
    monkeypatch.setattr(rollout_verbs, "callers", lambda _wiring, _shards: (rollouts.CALLER,))
    monkeypatch.setattr(rollout_verbs, "POLL_S", 0.01)


@pytest.fixture
def went_along(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, Any]]:
    """Rollouts that were ticked here, and what for."""
    gone: list[tuple[str, Any]] = []

    def advance(_wiring: Any, id_: str, _run: Any, _talk: Any, *, caller: str, said: Any) -> int:
        gone.append((id_, said))
        return 4

    monkeypatch.setattr(rollout_verbs, "advance", advance)
    return gone


def word(name: str, rollout: str | None = None, **more: Any) -> VerbRequest:
    return VerbRequest(VerbName(name), rollout, **more)


def said() -> list[tuple[str, tuple[str, ...], str]]:
    with records_from_environment() as records:
        return [(v.name.value, v.stores, v.why) for v in records.rollouts.verbs("ro-1")]


@contextmanager
def ticker(lease: str, answer: str = "") -> Iterator[None]:
    """Somebody who holds a lease and, given an answer, obeys with it."""
    over = threading.Event()

    def obey() -> None:
        with records_from_environment() as records:
            held = records.leases.take(lease, "fleet controller on ops-1", 60.0)
            assert held is not None
            holding.set()
            while answer and not over.wait(0.01):
                verbs = records.rollouts.verbs("ro-1", unobeyed_only=True)
                if verbs:
                    rollout = records.rollouts.load("ro-1")
                    answers = {verb.id: answer for verb in verbs}
                    records.rollouts.write_tick(held, rollout, (), (), answers)
                    return

    holding = threading.Event()
    thread = threading.Thread(target=obey)
    thread.start()
    assert holding.wait(10)
    try:
        yield
    finally:
        over.set()
        thread.join()


def test_a_word_is_kept_with_who_said_it_and_why() -> None:
    begin()

    tell(word("pause", why="lunch"), INVENTORY)

    assert said() == [("pause", (), "lunch")]
    with records_from_environment() as records:
        [run] = [r for r in records.runs() if r.outcome == "said"]
        [entry] = records.audit_of(run.id)
    assert (entry.action, entry.caller_arn, entry.why) == (
        "rollout pause",
        rollouts.CALLER,
        "lunch",
    )


@pytest.mark.parametrize("lease", ["rollout ro-1", "controller"])
def test_whoever_ticks_is_named_and_its_answer_is_waited_for(lease: str, capsys: Said) -> None:
    begin()

    with ticker(lease, "paused; nothing more is sent"):
        code = tell(word("pause"), INVENTORY)

    text = capsys.readouterr().err
    assert code == 0
    assert "fleet controller on ops-1 obeys it" in text
    assert "ro-1: paused; nothing more is sent" in text


def test_who_does_not_want_to_wait_does_not(capsys: Said) -> None:
    begin()

    with ticker("controller"):
        assert tell(word("resume", no_wait=True), INVENTORY) == 0

    assert "obeys it" in capsys.readouterr().err


def test_an_answer_that_does_not_come_leaves_the_word_said(
    capsys: Said, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rollout_verbs, "ANSWER_WITHIN_S", 0.02)
    begin()

    with ticker("controller"):
        assert tell(word("pause"), INVENTORY) == 0

    assert "it stays said: fleet rollout status ro-1" in capsys.readouterr().err
    assert said() == [("pause", (), "")]


@pytest.mark.parametrize("name", ["resume", "promote", "retry", "rollback"])
def test_what_is_to_be_acted_on_is_ticked_here_when_nobody_does(
    name: str, went_along: list[tuple[str, Any]]
) -> None:
    begin()

    assert tell(word(name), INVENTORY) == 4

    assert went_along == [("ro-1", VerbName(name))]


@pytest.mark.parametrize(("name", "stores"), [("pause", []), ("skip", ["store-001"])])
def test_what_only_holds_back_is_obeyed_at_once_when_nobody_ticks(
    name: str, stores: list[str], went_along: list[tuple[str, Any]], capsys: Said
) -> None:
    begin()

    assert tell(word(name, stores=stores), INVENTORY) == 0

    assert went_along == []
    [(answer, stage, phase)] = obeyed()
    assert f"ro-1: {answer}" in capsys.readouterr().err
    assert (stage, phase) == (("skipped", "running") if stores else ("sent", "paused"))


def obeyed() -> list[tuple[str, str, str]]:
    with records_from_environment() as records:
        rollouts_ = records.rollouts
        stage = next(c.stage for c in rollouts_.changes("ro-1") if c.store == "store-001")
        phase = rollouts_.load("ro-1").phase
        return [(v.answer, stage.value, phase.value) for v in rollouts_.verbs("ro-1")]


@pytest.mark.parametrize("name", ["pause", "skip"])
def test_on_a_halted_rollout_they_propose_nothing_that_sends(
    name: str, went_along: list[tuple[str, Any]], capsys: Said
) -> None:
    begin(phase=Phase.HALTED)

    assert tell(word(name, stores=["store-001"] if name == "skip" else []), INVENTORY) == 0

    assert went_along == []
    assert "resume" not in capsys.readouterr().err
    assert obeyed()[0][2] == "halted"


def test_an_abort_with_nothing_to_set_back_ends_it_without_a_tick(
    went_along: list[tuple[str, Any]],
) -> None:
    begin(phase=Phase.HALTED)

    assert tell(word("abort"), INVENTORY) == 0

    assert went_along == []
    with records_from_environment() as records:
        assert records.rollouts.load("ro-1").finished_at is not None
        assert records.rollouts.holds() == ()


def test_an_abort_with_a_dark_store_is_ticked_here_to_set_it_back(
    went_along: list[tuple[str, Any]],
) -> None:
    begin(rollouts.changes(store_003=Verdict.DARK), phase=Phase.HALTED)

    assert tell(word("abort"), INVENTORY) == 4

    assert went_along == [("ro-1", VerbName.ABORT)]


def test_a_finished_rollout_is_ticked_here_even_while_a_controller_lives(
    went_along: list[tuple[str, Any]],
) -> None:
    begin(phase=Phase.DONE)

    with ticker("controller"):
        tell(word("retry"), INVENTORY)

    assert went_along == [("ro-1", VerbName.RETRY)]


@pytest.mark.parametrize(
    ("wrong", "said_of_it"),
    [
        (word("skip"), "no store to skip was named"),
        (word("retry", stores=["store-01"]), "changes no store 'store-01'"),
        (word("pause", "ro-9"), "no rollout ro-9"),
        (word("pause", "nine"), "no id of a rollout"),
    ],
)
def test_what_means_nothing_is_refused_before_it_is_said(
    wrong: VerbRequest, said_of_it: str
) -> None:
    begin()

    with pytest.raises(UsageError, match=said_of_it):
        tell(wrong, INVENTORY)

    assert said() == []


def test_rolling_back_without_a_terminal_wants_yes() -> None:
    begin()

    with pytest.raises(UsageError) as caught:
        tell(word("rollback", yes=False), INVENTORY)

    assert "sets 8 stores back" in str(caught.value)
    assert caught.value.hint == "add --yes"
    assert said() == []


@pytest.mark.parametrize("name", ["retry", "rollback"])
def test_what_is_proposed_again_names_the_same_stores_and_no_others(
    name: str, capsys: Said
) -> None:
    begin(phase=Phase.HALTED)

    tell(word(name, stores=("store-002", "store-003"), no_wait=True), INVENTORY)

    again = f"`fleet rollout {name} ro-1 --store store-002 --store store-003` does"
    assert again in " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize("words", [["retry"], ["rollback", "--yes"], ["resume"]])
def test_a_verb_ends_with_the_code_of_how_the_rollout_rests(
    words: list[str], went_along: list[tuple[str, Any]]
) -> None:
    begin(phase=Phase.HALTED)

    ran = CliRunner().invoke(app, ["rollout", *words, "--inventory", str(INVENTORY)])

    assert (ran.exit_code, len(went_along)) == (4, 1)
