"""The story of a store and of a code, on terminals of any width and for programs."""

import io
import json
from dataclasses import replace
from typing import Any

import pytest
from rich.console import Console, RenderableType

from fleet.drift.view.explain import (
    OPEN_SHOWN,
    code_document,
    code_view,
    store_document,
    store_view,
)
from fleet.model.drift import Evidence, HostConnection, StoreState
from fleet.model.drift_settings import Ignore, Severity
from fleet.model.history import AuditEntry
from fleet.model.rollout import Phase
from fleet.model.scan_result import PastFinding
from fleet.model.store_story import CodeStory, Outage, StoreRollout, StoreStory
from fleet.model.verdicts import Verdict
from tests import nights, rollouts, scanned
from tests.drift.view.test_hosts import HOST, SCAN
from tests.reading import in_order
from tests.scanned import ENDED, LAST, NIGHT, NOW

OPEN = PastFinding(scanned.finding(), LAST - NIGHT, LAST)
RULE = Ignore(
    frozenset({"DISK_LOW"}), None, frozenset(), "", NOW + 7 * NIGHT, "refit", "ignores.yaml:3"
)
STORY = StoreStory(
    store=scanned.fleet().stores[0],
    at=NOW,
    scan=SCAN,
    state=StoreState.DARK,
    host="",
    hosts=(HOST,),
    open=((OPEN, None),),
    past=(PastFinding(scanned.finding("HOT"), LAST - 9 * NIGHT, LAST, LAST - 5 * NIGHT),),
    outages=(
        Outage("", HostConnection.DARK, LAST - 2 * NIGHT, None, ENDED),
        Outage("tel-1", HostConnection.ECS_DOWN, LAST - 9 * NIGHT, LAST - 8 * NIGHT, LAST),
    ),
    days=30,
    owed=(("ro-118", rollouts.change("store-042", Verdict.PARKED)),),
    rollouts=(
        StoreRollout(
            "ro-118",
            "vision 1.8.3 -> 1.9.0",
            Phase.HALTED,
            LAST,
            None,
            rollouts.CALLER,
            (rollouts.change("store-042", Verdict.FAILED),),
        ),
    ),
    audit=(AuditEntry("reg-7f3a", LAST, rollouts.CALLER, "install", "store-042", "", "fresh", {}),),
)
CODE = CodeStory(
    *("TWIN", Severity.MEDIUM, "two instances", "Two of one.", "Drop the old one.", True),
    at=NOW,
    scan=SCAN,
    open=((OPEN, None), (replace(OPEN, first_seen=LAST), RULE)),
)


def shown(view: RenderableType, width: int) -> str:
    out = io.StringIO()
    Console(file=out, width=width, markup=False, highlight=False, emoji=False).print(view)
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines())


def text(width: int = 120, **changes: Any) -> str:
    return shown(store_view(replace(STORY, **changes), width), width)


def test_what_is_true_now_comes_before_what_was() -> None:
    parts = ["DARK", "store-042/", "OPEN high tel-1 DISK_LOW", "OUTAGES", "OWES", "BEFORE"]

    assert in_order(text(), [*(parts[:1]), *(parts[2:]), "ROLLOUTS", "CHANGES", "next"])


def test_an_open_finding_has_all_its_evidence_with_its_age_and_its_fix() -> None:
    found = text()

    assert (
        "what  / has 100 MB free, 2048 MB is the floor · since 22 Nov 22:31Z (5h29m ago)" in found
    )
    assert "host: df / 100 MB free, 20m ago" in found
    assert "fix   fleet doctor store-042" in found


def test_an_outage_says_how_long_and_one_that_lasts_how_long_at_least() -> None:
    found = text()

    assert "21 Nov 03:31Z all hosts dark for at least 48h09m, last seen so 20m ago" in found
    assert "14 Nov 03:31Z tel-1 ecs-down for 24h, until 15 Nov 03:31Z" in found


def test_what_it_owes_comes_with_the_command_that_settles_it() -> None:
    assert "vision-arm64:13 of ro-118, parked" in text()
    assert "fleet rollout resume ro-118" in text()


def test_a_finding_that_is_let_be_says_until_when_and_why() -> None:
    found = text(open=((OPEN, RULE),))

    assert "ignored  until 30 Nov: refit [ignores.yaml:3]" in found


def test_a_store_without_findings_says_so() -> None:
    assert "OPEN  no finding" in text(open=())


def test_a_store_without_a_scan_is_not_called_well() -> None:
    found = text(scan=None, state=None, open=())

    assert "NOT SCANNED  no recorded scan has looked at it: fleet drift store-042" in found
    assert "no finding" not in found


def test_what_a_host_said_cannot_move_the_terminal() -> None:
    bad = replace(
        OPEN.finding,
        cause=nights.HOSTILE,
        subject=nights.HOSTILE,
        fix=nights.HOSTILE,
        evidence=(Evidence("ECS", nights.HOSTILE, NOW),),
    )

    found = text(open=((replace(OPEN, finding=bad), None),))

    assert "\x1b" not in found


@pytest.mark.parametrize("width", [60, 80, 120])
def test_no_line_is_wider_than_the_screen(width: int) -> None:
    assert max(map(len, text(width).splitlines())) <= width
    assert max(map(len, shown(code_view(CODE, width), width).splitlines())) <= width


def test_a_code_says_what_it_means_what_to_do_and_where_it_is_open() -> None:
    found = shown(code_view(CODE, 140), 140)

    assert found.startswith("TWIN medium: two instances\nmeans   Two of one.\nremedy  Drop the old")
    assert "`fleet drift --fix` does it" in found
    assert "2 findings, 1 of them ignored" in found


def test_a_code_that_is_unsafe_is_left_to_a_person() -> None:
    assert "a person does it" in shown(code_view(replace(CODE, safe=False), 140), 140)


def test_without_a_scan_nobody_knows_where_a_code_is_open() -> None:
    found = shown(code_view(replace(CODE, scan=None, open=()), 140), 140)

    assert "not known, no scan is recorded yet: fleet drift" in found


def test_of_many_open_findings_the_rest_is_counted() -> None:
    found = shown(code_view(replace(CODE, open=((OPEN, None),) * (OPEN_SHOWN + 3)), 140), 140)

    assert "and 3 more: --json has all" in found


def test_the_documents_are_versioned_and_plain() -> None:
    store = json.loads(json.dumps(store_document(STORY)))
    code = json.loads(json.dumps(code_document(CODE)))

    assert (store["version"], store["kind"]) == (1, "explain-store")
    assert store["outages"]["found"][0]["until"] is None
    assert store["audit"][0]["at"] == "2026-11-23T03:31:00Z"
    assert (code["version"], code["kind"]) == (1, "explain-code")
    assert [one["ignored_by"] is None for one in code["open"]] == [True, False]


def test_what_an_aborted_rollout_did_not_send_is_not_called_to_send() -> None:
    [rollout] = STORY.rollouts
    aborted = replace(rollout, phase=Phase.ABORTED, changes=(rollouts.planned("store-042"),))

    said = text(rollouts=(aborted,))

    assert "aborted: vision-arm64 not sent" in said
    assert "to send" not in said
