"""Restoring lost records: what was found is shown, what was not read is no success."""

import json
from pathlib import Path
from typing import Any

import pytest
import typer

from fleet.cli import state
from fleet.cli.state import rebuild
from fleet.model.rollout import RebuiltRollout
from fleet.rollout.rebuild import Restored
from fleet.runtime.wiring import records_from_environment
from tests import rollouts

INVENTORY = Path(__file__).resolve().parents[2] / "inventory"

pytestmark = pytest.mark.usefixtures("desk")


@pytest.fixture
def restored(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """One rollout is found at AWS; stores that could not be read may be put in here."""
    unread: dict[str, str] = {}
    one = RebuiltRollout("ro-118", rollouts.spec(), rollouts.BEGAN, rollouts.changes(), added=True)

    def rebuild_records(_wiring: Any, *, caller: str) -> Restored:
        assert caller == rollouts.CALLER
        return Restored((one,), unread)

    monkeypatch.setattr(state, "rebuild_records", rebuild_records)
    monkeypatch.setattr(state, "fleet_callers", lambda _wiring, *, tell: (rollouts.CALLER,))
    return unread


def test_what_was_found_is_shown_and_audited(
    restored: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    rebuild(inventory=INVENTORY)

    assert "1 of 1 rollouts were added" in capsys.readouterr().out
    with records_from_environment() as records:
        [run] = records.runs()
        [entry] = records.audit_of(run.id)
    assert (run.outcome, entry.detail["added"]) == ("done", ["ro-118"])


def test_a_store_that_was_not_read_is_no_success(
    restored: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    restored["store-001"] = "AccessDenied"

    with pytest.raises(typer.Exit) as ended:
        rebuild(json=True, inventory=INVENTORY)

    assert ended.value.exit_code == 1

    assert json.loads(capsys.readouterr().out)["not_read"] == {"store-001": "AccessDenied"}
