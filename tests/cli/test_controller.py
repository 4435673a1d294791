"""The controller as a service: in whose name, lines behind ids, an end without an error."""

import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fleet.cli import controller as command
from fleet.cli.controller import controller
from fleet.errors import AwsError, CredentialsError
from fleet.runtime.wiring import records_from_environment
from tests import rollouts
from tests.cli.rollout_desk import begin

INVENTORY = Path(__file__).resolve().parents[2] / "inventory"
Said = pytest.CaptureFixture[str]

pytestmark = pytest.mark.usefixtures("desk")


def told(event: Any) -> Any:
    """Ticks that tell one line and end."""

    def run_controller(crew: Any, _stop: threading.Event, *, once: bool) -> None:
        crew.tell(event)
        crew.warn("ro-1: AWS is away; it is tried again")

    return run_controller


@pytest.fixture
def accounts(monkeypatch: pytest.MonkeyPatch) -> dict[str, AwsError]:
    """Accounts that refuse us, by name; the others know us."""
    refusing: dict[str, AwsError] = {}

    def callers(_wiring: Any, shards: Any) -> tuple[str, ...]:
        for account, _region in shards:
            if account in refusing:
                raise refusing[account]
        return (rollouts.CALLER,)

    monkeypatch.setattr("fleet.runtime.callers.callers", callers)
    return refusing


def test_each_line_is_behind_its_rollouts_id(
    accounts: dict[str, AwsError], monkeypatch: pytest.MonkeyPatch, capsys: Said
) -> None:
    begun = begin()
    event = rollouts.event(
        "verdict", "RUNNING 121 s", "store-001", verdict="ok", service="vision-arm64"
    )
    moved = replace(event, rollout=begun.id)
    monkeypatch.setattr(command, "run_controller", told(moved))

    controller(once=True, inventory=INVENTORY)

    said = capsys.readouterr()
    assert "ro-1 01:14:20Z store-001 arm64 ok      RUNNING 121 s" in said.err.splitlines()
    assert "ro-1: AWS is away; it is tried again" in said.err
    assert said.out == ""


def test_its_run_is_recorded_to_its_end(
    accounts: dict[str, AwsError], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "run_controller", told(rollouts.event("wave", "x")))

    controller(once=True, inventory=INVENTORY)

    with records_from_environment() as records:
        [run] = records.runs()
    assert (run.kind, run.outcome, run.caller_arn) == ("controller", "done", rollouts.CALLER)


def test_an_account_that_refuses_us_keeps_no_other_waiting(
    accounts: dict[str, AwsError], monkeypatch: pytest.MonkeyPatch, capsys: Said
) -> None:
    accounts["apac-prod"] = CredentialsError("expired")
    monkeypatch.setattr(command, "run_controller", told(rollouts.event("wave", "x")))

    controller(once=True, inventory=INVENTORY)

    assert "apac-prod/ap-southeast-1: expired" in capsys.readouterr().err


def test_where_every_account_refuses_us_there_is_nothing_to_serve(
    accounts: dict[str, AwsError],
) -> None:
    accounts["apac-prod"] = accounts["emea-prod"] = CredentialsError("expired")

    with pytest.raises(CredentialsError, match="expired"):
        controller(once=True, inventory=INVENTORY)
