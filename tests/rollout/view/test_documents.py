"""Documents for programs: versioned, complete, and JSON all through."""

import json
from datetime import timedelta

from fleet.model.overview import BudgetUse, NextWindow, Ticker
from fleet.model.rollout import Hold
from fleet.model.verdicts import Verdict
from fleet.rollout.view.documents import history_document, status_document
from tests import rollouts
from tests.rollouts import NOW


def test_a_status_is_json_with_every_change_and_number() -> None:
    overview = rollouts.overview(
        changes=rollouts.changes(store_002=Verdict.FAILED, store_004=Verdict.DARK),
        gate=rollouts.gate(),
        verbs=(rollouts.verb(),),
        tickers=(Ticker("shard", "me", NOW),),
        budgets=(BudgetUse("emea-prod", "eu-west-1", "ecs service modify", 0.5),),
        held_by=(Hold("store-010", "vision", "ro-117", rollouts.CALLER, NOW),),
        next_window=NextWindow(NOW + timedelta(hours=1), "store-009", 2),
        events=(rollouts.event("sent", "x", "store-001", at=NOW, odd={1, 2}),),
    )

    document = json.loads(json.dumps(status_document(overview)))

    assert (document["version"], document["kind"]) == (1, "rollout")
    assert document["tally"] == {"dark": 1, "failed": 1, "ok": 6, "to send": 32}
    assert document["owed"] == ["store-004"]
    assert len(document["changes"]) == 40
    assert document["gate"]["checks"][0]["mark"] == "OVER"
    assert document["events"][0]["data"]["at"] == "2026-11-23T01:14:20Z"


def test_of_one_store_only_its_changes_are_given() -> None:
    document = status_document(rollouts.overview(), "store-003")

    assert [c["store"] for c in document["changes"]] == ["store-003"]
    assert document["tally"] == {"ok": 8, "to send": 32}


def test_a_history_names_every_rollout_and_its_end() -> None:
    document = json.loads(json.dumps(history_document((rollouts.summary(finished_at=NOW),))))

    [row] = document["rollouts"]
    assert (row["id"], row["finished_at"]) == ("ro-118", "2026-11-23T01:14:20Z")
