"""Which channels are told: always, or of what changed and matters to them."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from fleet.model.drift import Finding, Unread
from fleet.model.drift_settings import Severity
from fleet.model.notify import Channel, When
from fleet.model.scan_result import FindingChange, OpenFinding, PastFinding, ScanResult
from fleet.notify.due import is_due
from tests import nights

AT = datetime(2026, 11, 23, 3, 31, tzinfo=UTC)
CLEAN = replace(nights.clean_night(stores=8), unread=(), findings=(), resolved=(), notes=())
CHANGES = Channel("chat", When.CHANGE, Severity.MEDIUM)


def finding(severity: Severity) -> Finding:
    return Finding(
        code="TWIN",
        severity=severity,
        store="store-1",
        host="tel-1",
        subject="",
        account="prod",
        region="eu-west-1",
        since=AT,
        since_known=True,
        cause="two of one",
    )


def night(change: FindingChange, severity: Severity) -> ScanResult:
    return replace(CLEAN, findings=(OpenFinding(finding(severity), change, AT),))


def test_silence_is_never_good_news() -> None:
    assert is_due(Channel("mail"), CLEAN)


def test_a_night_in_which_nothing_changed_is_not_told_to_who_waits_for_changes() -> None:
    assert not is_due(CHANGES, CLEAN)


@pytest.mark.parametrize("severity", Severity)
@pytest.mark.parametrize("change", FindingChange)
def test_what_is_new_or_worse_is_told_where_it_matters(
    change: FindingChange, severity: Severity
) -> None:
    due = change in {FindingChange.NEW, FindingChange.WORSE} and severity in {
        Severity.MEDIUM,
        Severity.HIGH,
    }

    assert is_due(CHANGES, night(change, severity)) is due


@pytest.mark.parametrize(("severity", "due"), [(Severity.LOW, False), (Severity.HIGH, True)])
def test_what_is_gone_is_told_where_it_mattered(severity: Severity, due: bool) -> None:
    gone = PastFinding(finding(severity), AT, AT, resolved_at=AT)

    assert is_due(CHANGES, replace(CLEAN, resolved=(gone,))) is due


def test_what_could_not_be_read_is_always_told() -> None:
    gap = Unread("prod", "eu-west-1", "", "SSM nodes", "AccessDenied")

    assert is_due(CHANGES, replace(CLEAN, unread=(gap,)))


def test_a_night_without_its_history_is_told_as_nobody_knows_what_changed() -> None:
    assert is_due(CHANGES, replace(CLEAN, recorded=False))


def test_a_host_that_reconnects_just_now_is_no_change_to_be_told_of() -> None:
    note = "how store-042/tel-1 is connected is not known: it has just changed"
    assert not is_due(CHANGES, replace(CLEAN, notes=(note,)))
