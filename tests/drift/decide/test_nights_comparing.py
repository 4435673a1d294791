from collections.abc import Iterable
from dataclasses import replace
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.drift.decide.looked import Coverage
from fleet.drift.decide.nights import changes_of
from fleet.model.drift import Finding, Unread
from fleet.model.drift_settings import Severity
from fleet.model.night import FindingChanges, PastFinding
from tests.drift.decide.night_parts import DAY, LAST_NIGHT, TONIGHT, finding, past, unread

SCOPE = ("store-042",)


def compare(
    found: Iterable[Finding] = (),
    open_: Iterable[PastFinding] = (),
    *gaps: Unread,
    scope: tuple[str, ...] = SCOPE,
    whole: bool = True,
    coverage: Coverage | None = None,
) -> FindingChanges:
    return changes_of(
        tuple(found), tuple(open_), gaps, scope, TONIGHT, whole=whole, coverage=coverage
    )


def test_what_was_not_open_is_opened() -> None:
    assert compare([finding()]) == FindingChanges(TONIGHT, opened=(finding(),))


def test_what_is_found_again_is_kept_with_its_row() -> None:
    worse = finding(severity=Severity.HIGH, cause="since two nights")
    assert compare([worse], [past()]) == FindingChanges(TONIGHT, kept=((past(), worse),))


def test_what_is_gone_is_resolved_at_the_time_of_the_scan() -> None:
    gone = replace(past(), resolved_at=TONIGHT)
    assert compare([], [past()]) == FindingChanges(TONIGHT, resolved=(gone,))


def test_another_subject_is_another_finding() -> None:
    one, other = finding(subject="mi-1"), finding(subject="mi-2")
    changes = compare([one], [past(other)])
    assert (changes.opened, [row.finding for row in changes.resolved]) == ((one,), [other])


def test_two_findings_of_one_key_are_one_and_the_worst() -> None:
    low, high = finding(severity=Severity.LOW), finding(severity=Severity.HIGH)
    assert compare([low, high, low]).opened == (high,)


@pytest.mark.parametrize(
    "gap",
    [
        unread(),
        unread("store-042"),
        unread(region=""),
        unread(account="", region=""),
    ],
)
def test_nothing_is_resolved_where_something_was_not_read(gap: Unread) -> None:
    assert compare([], [past()], gap) == FindingChanges(TONIGHT, not_verified=(past(),))


@pytest.mark.parametrize(
    "gap",
    [unread("store-043"), unread(region="us-east-1"), unread(account="apac-prod", region="")],
)
def test_what_was_not_read_elsewhere_keeps_nothing_open(gap: Unread) -> None:
    assert compare([], [past()], gap).not_verified == ()


@pytest.mark.parametrize("gap", [unread(), unread("store-043")])
def test_a_finding_of_an_account_rests_on_all_of_its_stores(gap: Unread) -> None:
    row = past(finding("SSM_TIER", ""))
    assert compare([], [row], gap).not_verified == (row,)


@pytest.mark.parametrize("gap", [unread(), unread("store-1", account="apac-prod")])
def test_a_finding_of_the_whole_fleet_rests_on_everything(gap: Unread) -> None:
    row = past(finding("CARRIER_DARK", "", account="", region=""))
    assert compare([], [row], gap).not_verified == (row,)
    assert compare([], [row]).not_verified == ()


def test_a_finding_rests_on_the_other_stores_that_it_names() -> None:
    copy = finding("CLONE", data={"hosts": ["store-042/tel-1", "store-043/tel-1"]})
    scope = ["store-042", "store-043"]
    changes = changes_of([], [past(copy)], [unread("store-043")], scope, TONIGHT)
    assert [row.finding for row in changes.not_verified] == [copy]


def test_what_is_found_although_something_was_not_read_is_kept() -> None:
    assert compare([finding()], [past()], unread()).kept == ((past(), finding()),)


def test_where_the_scan_did_not_look_nothing_is_resolved() -> None:
    row = past(finding("DISK_LOW", host="tel-1"))
    shallow = Coverage(digests=False, deep=False)
    assert compare([], [row], coverage=shallow).not_verified == (row,)


@pytest.mark.parametrize("store", ["store-043", ""])
def test_a_narrow_scan_leaves_what_is_outside_of_it_alone(store: str) -> None:
    assert compare([], [past(finding(store=store))], whole=False) == FindingChanges(TONIGHT)


def test_a_narrow_scan_keeps_what_it_finds_of_an_account() -> None:
    row = past(finding("SSM_TIER", ""))
    assert compare([row.finding], [row], whole=False).kept == ((row, row.finding),)


def test_a_store_that_has_left_the_inventory_has_no_findings_whatever_was_not_read() -> None:
    row = past(finding("DISK_LOW", store="store-gone"))
    shallow = Coverage(digests=False, deep=False)
    changes = compare([], [row], unread(), unread(account="", region=""), coverage=shallow)
    assert changes.resolved == (replace(row, resolved_at=TONIGHT),)


keys = st.builds(
    finding,
    st.sampled_from(["TWIN", "DISK_LOW", "SITE_DARK", "SSM_TIER"]),
    st.sampled_from(["store-1", "store-2", ""]),
    host=st.sampled_from(["", "cam-1"]),
    subject=st.sampled_from(["", "a", "b"]),
    account=st.sampled_from(["emea-prod", "apac-prod"]),
    severity=st.sampled_from(Severity),
)
nights = st.lists(keys, max_size=12)
gaps_of = st.lists(
    st.builds(
        unread,
        st.sampled_from(["", "store-1", "store-2"]),
        account=st.sampled_from(["emea-prod", "apac-prod", ""]),
        region=st.sampled_from(["eu-west-1", ""]),
    ),
    max_size=2,
)
scopes = st.sets(st.sampled_from(["store-1", "store-2"]))
looks = st.none() | st.builds(Coverage, digests=st.booleans(), deep=st.booleans())


class Seen(NamedTuple):
    """A night: what was found, what was open before, and where the scan looked."""

    found: list[Finding]
    before: list[Finding]
    gaps: list[Unread]
    scope: set[str]
    whole: bool
    coverage: Coverage | None

    def beside(self, rows: list[PastFinding]) -> FindingChanges:
        return changes_of(
            self.found,
            rows,
            self.gaps,
            self.scope,
            TONIGHT,
            whole=self.whole,
            coverage=self.coverage,
        )


seen_nights = st.builds(Seen, nights, nights, gaps_of, scopes, st.booleans(), looks)


def rows_after(before: Iterable[PastFinding], changes: FindingChanges) -> list[PastFinding]:
    """The open rows once a night was recorded."""
    rows = {row.finding.key: row for row in before}
    for finding_ in changes.opened:
        rows[finding_.key] = PastFinding(finding_, changes.at, changes.at)
    for row, finding_ in changes.kept:
        rows[finding_.key] = replace(row, finding=finding_, last_seen=changes.at)
    for row in changes.resolved:
        del rows[row.finding.key]
    return list(rows.values())


def open_rows(found: Iterable[Finding]) -> list[PastFinding]:
    return list({one.key: past(one, LAST_NIGHT - DAY) for one in found}.values())


@given(seen_nights)
def test_each_finding_is_in_one_part_only(seen: Seen) -> None:
    changes = seen.beside(open_rows(seen.before))
    parts = [
        *(one.key for one in changes.opened),
        *(one.key for _row, one in changes.kept),
        *(row.finding.key for row in (*changes.resolved, *changes.not_verified)),
    ]
    assert len(parts) == len(set(parts))
    assert {one.key for one in seen.found} <= set(parts)
    assert set(parts) <= {one.key for one in (*seen.found, *seen.before)}


@given(seen_nights)
def test_the_same_night_compared_again_changes_nothing(seen: Seen) -> None:
    rows = open_rows(seen.before)
    first = seen.beside(rows)
    again = seen.beside(rows_after(rows, first))
    assert (again.opened, again.resolved) == ((), ())
    assert again.not_verified == first.not_verified


@given(nights, nights, gaps_of)
def test_what_is_not_read_makes_nothing_new_and_resolves_nothing_more(
    found: list[Finding], before: list[Finding], gaps: list[Unread]
) -> None:
    rows, scope = open_rows(before), ("store-1", "store-2")
    read = changes_of(found, rows, (), scope, TONIGHT, whole=True)
    partly = changes_of(found, rows, gaps, scope, TONIGHT, whole=True)
    assert (partly.opened, partly.kept) == (read.opened, read.kept)
    assert all(row in read.resolved for row in partly.resolved)
