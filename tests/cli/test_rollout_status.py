"""Looking at rollouts: the one that is meant, as text and JSON, and exit codes by how it rests."""

import json
from pathlib import Path

import pytest
import typer

from fleet.cli.rollout_status import history, status, wait, watch
from fleet.errors import FleetError, UsageError
from fleet.model.rollout import Phase
from tests import rollouts
from tests.cli.rollout_desk import begin

Said = pytest.CaptureFixture[str]

pytestmark = pytest.mark.usefixtures("desk")


def test_without_an_id_the_active_rollout_is_meant(capsys: Said) -> None:
    begin()
    begin(phase=Phase.DONE)

    status(None, store="", events=False, json=False)

    assert capsys.readouterr().out.startswith("ro-1 vision 1.8.3 -> 1.9.0 · RUNNING")


def test_without_an_active_one_the_latest_is_meant(capsys: Said) -> None:
    begin(phase=Phase.DONE)
    begin(phase=Phase.ABORTED)

    status(None, store="", events=False, json=False)

    assert capsys.readouterr().out.startswith("ro-2 ")


def test_several_active_ones_are_named_and_none_is_chosen() -> None:
    begin()
    begin()

    with pytest.raises(UsageError, match="2 rollouts are active: ro-1, ro-2"):
        status(None, store="", events=False, json=False)


def test_a_number_is_an_id_too(capsys: Said) -> None:
    begin()
    begin()

    status("2", store="", events=False, json=False)

    assert capsys.readouterr().out.startswith("ro-2 ")


def test_before_the_first_rollout_there_is_a_command_to_type() -> None:
    with pytest.raises(UsageError) as caught:
        status(None, store="", events=False, json=False)

    assert caught.value.hint == "fleet rollout --canary"


def test_a_status_as_json_is_one_document(capsys: Said) -> None:
    begin()

    status("ro-1", store="", events=False, json=True)

    document = json.loads(capsys.readouterr().out)
    assert (document["version"], document["rollout"]["id"]) == (1, "ro-1")


def test_one_store_is_explained_with_its_own_events_only(capsys: Said) -> None:
    events = (
        rollouts.event("sent", "of this one", "store-001"),
        rollouts.event("sent", "of another", "store-002"),
    )
    begin(events=events)

    status(None, store="store-001", events=False, json=False)

    text = capsys.readouterr().out
    assert text.startswith("store-001 Leeds Briggate · emea-prod/eu-west-1")
    assert "of this one" in text
    assert "of another" not in text


def test_a_store_that_is_not_in_it_is_refused_with_the_nearest() -> None:
    begin()

    with pytest.raises(UsageError) as caught:
        status(None, store="store-0010", events=False, json=False)

    assert "store-001" in str(caught.value.hint)


def test_the_whole_story_comes_before_the_state(capsys: Said) -> None:
    begin(events=(rollouts.event("wave", "canary begins"),))

    status(None, store="", events=True, json=False)

    first, second, *_ = capsys.readouterr().out.splitlines()
    assert first == "01:14:20Z canary begins"
    assert second.startswith("ro-1 ")


def test_history_lists_the_latest_first(capsys: Said) -> None:
    begin(phase=Phase.DONE)
    begin()

    history(limit=20, json=False)

    rows = capsys.readouterr().out.splitlines()[1:]
    assert [row.split()[0] for row in rows] == ["ro-2", "ro-1"]


def test_history_as_json_is_one_document(capsys: Said) -> None:
    begin()

    history(limit=1, json=True)

    assert len(json.loads(capsys.readouterr().out)["rollouts"]) == 1


@pytest.mark.parametrize(
    ("phase", "code"),
    [
        (Phase.DONE, 0),
        (Phase.AWAITING, 3),
        (Phase.HALTED, 4),
        (Phase.PAUSED, 4),
        (Phase.ABORTED, 1),
        (Phase.ROLLED_BACK, 1),
    ],
)
def test_waiting_ends_as_the_rollout_rests(phase: Phase, code: int, capsys: Said) -> None:
    begin(phase=phase)

    with pytest.raises(typer.Exit) as ended:
        wait(None, timeout="")

    assert ended.value.exit_code == code

    assert f"ro-1 {phase.value}" in capsys.readouterr().out


def test_waiting_gives_up_after_its_time() -> None:
    begin()

    with pytest.raises(FleetError, match="still running after 0s"):
        wait(None, timeout="0s")


def test_watching_in_a_pipe_prints_lines_and_ends_with_the_rollout(
    capsys: Said, desk: Path
) -> None:
    begin(phase=Phase.DONE, events=(rollouts.event("wave", "canary begins"),))

    watch(None)

    text = capsys.readouterr().out
    assert text.startswith("01:14:20Z canary begins\n")
    assert "ro-1 done" in text
    assert "\x1b" not in text
