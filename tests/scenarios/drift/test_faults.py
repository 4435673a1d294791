"""Whatever fails while a scan looks: it says first what it does not know, ends with 1, calls
nothing resolved that it could not see, and never looks like a fleet that is well.
"""

import contextlib
import os
import resource
import sqlite3
import subprocess
from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from fleet.drift.decide.scan_ending import ending_of
from fleet.drift.view.report import report_of
from fleet.drift.view.report_markdown import report_markdown
from fleet.model.drift import StoreState
from fleet.model.scan_result import FindingChange, ScanResult
from fleet.sandbox.agents.session import AwsFault
from fleet.sandbox.control_plane.engine import access_key_for
from tests.scenarios.conftest import FLEET, HANGS_S
from tests.scenarios.drift.scanning import Scans, codes, open_town
from tests.scenarios.drift.town import HOUR, Plan, Town, store_id

#: What a scan with everything asks of AWS.
ACTIONS = {
    "sts": ["GetCallerIdentity"],
    "ecs": [
        "DescribeClusters",
        "DescribeContainerInstances",
        "DescribeServices",
        "DescribeTasks",
        "ListTaskDefinitions",
        "ListTasks",
    ],
    "ssm": [
        "DescribeActivations",
        "DescribeInstanceInformation",
        "GetServiceSetting",
        "ListCommandInvocations",
        "SendCommand",
    ],
}
#: Only a first night asks these as well.
FIRST = {"ecs": ["DescribeTaskDefinition", "ListContainerInstances"]}
#: Far more than a scan makes calls.
ALWAYS = 1_000_000
DARK = ("SITE_DARK", store_id(0), "")
PLAN = Plan(stores=4, regions=2)


def pairs(of: Mapping[str, list[str]]) -> list[tuple[str, str]]:
    return [(service, action) for service, actions in of.items() for action in actions]


@contextlib.contextmanager
def dark_town(folder: Path, patch: pytest.MonkeyPatch) -> Iterator[tuple[Town, Scans]]:
    """A town in which one shop is dark since before the last scan, and is told so."""
    with open_town(folder, patch, PLAN) as (town, scans):
        scans.scan(digests=True, deep=True)
        town.chain.cut(store_id(0))
        town.clock.advance(2 * HOUR)
        assert codes(scans.scan(digests=True, deep=True)) == [DARK]
        yield town, scans


@pytest.fixture(scope="module")
def one_town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Town, Scans]]:
    with (
        pytest.MonkeyPatch.context() as patch,
        dark_town(tmp_path_factory.mktemp("town"), patch) as opened,
    ):
        yield opened


@pytest.fixture
def dark(
    one_town: tuple[Town, Scans], monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[Town, Scans]]:
    """The one of all these tests: whatever fails, the next night knows all again."""
    town, scans = one_town
    for name, value in town.environment().items():
        monkeypatch.setenv(name, value)
    yield town, scans
    town.chain.plane.faults.clear()


def code_of(scans: Scans, night: ScanResult) -> int:
    return ending_of(night, scans.town.fleet.drift.fail_on, ()).code


def is_partial(scans: Scans, night: ScanResult) -> None:
    """It says that it is not the whole truth, everywhere that somebody or something looks."""
    assert night.unread
    assert not night.scan.complete
    assert not night.is_clean
    assert code_of(scans, night) == 1
    assert night.resolved == ()
    text = report_markdown(report_of(night, scans.now()))
    first = text.index(night.unread[0].why[:20])
    assert first < text.lower().index("verified")


def not_verified(night: ScanResult) -> set[str]:
    states = night.scan.states.items()
    return {store for store, state in states if state is StoreState.NOT_VERIFIED}


def comes_round(scans: Scans) -> None:
    """Once it can be read again nothing was forgotten, and nothing is new."""
    scans.town.chain.plane.faults.clear()
    night = scans.scan(digests=True, deep=True)
    assert codes(night) == [DARK]
    assert [told.change for told in night.findings] == [FindingChange.SAME]
    assert night.resolved == ()
    assert code_of(scans, night) == 3


def test_these_are_the_actions_of_a_scan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with open_town(tmp_path, monkeypatch) as (town, scans):
        asked = _watched(town)
        scans.scan(digests=True, deep=True)
        assert sorted(asked) == sorted(set(pairs(ACTIONS)) | set(pairs(FIRST)))
        asked.clear()
        scans.scan(digests=True, deep=True)
        assert sorted(asked) == sorted(pairs(ACTIONS))


@pytest.mark.parametrize(("service", "action"), pairs(ACTIONS))
def test_what_one_call_would_have_told_is_not_known_and_said_so(
    dark: tuple[Town, Scans], service: str, action: str
) -> None:
    town, scans = dark
    town.chain.plane.faults.add(service, action, "AccessDeniedException", 400, ALWAYS)
    night = scans.scan(digests=True, deep=True)
    if action == "ListTaskDefinitions":
        # Only whether revisions were deregistered: what was said of that is in the notes.
        assert night.unread or night.notes
    else:
        is_partial(scans, night)
    assert code_of(scans, night) == 1
    comes_round(scans)


@pytest.mark.parametrize(("service", "action"), pairs(FIRST))
def test_what_a_first_night_cannot_read_it_does_not_make_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, service: str, action: str
) -> None:
    with open_town(tmp_path, monkeypatch) as (town, scans):
        town.chain.plane.faults.add(service, action, "AccessDeniedException", 400, ALWAYS)
        night = scans.scan()
        is_partial(scans, night)
        assert codes(night) == []
        town.chain.plane.faults.clear()
        assert scans.scan().is_clean


@pytest.mark.long
@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("InternalServerError", 500),
        ("ServiceUnavailableException", 503),
        ("ThrottlingException", 400),
        ("ConnectionReset", 500),
        ("ExpiredTokenException", 400),
    ],
)
@pytest.mark.parametrize(("service", "action"), pairs(ACTIONS))
def test_however_a_call_fails_nothing_is_made_up(
    dark: tuple[Town, Scans], service: str, action: str, code: str, status: int
) -> None:
    town, scans = dark
    town.chain.plane.faults.add(service, action, code, status, ALWAYS)
    night = scans.scan(digests=True, deep=True)
    assert code_of(scans, night) == 1
    assert night.resolved == ()
    comes_round(scans)


def test_one_region_down_hides_nothing_of_the_other(dark: tuple[Town, Scans]) -> None:
    town, scans = dark
    region = "eu-central-1"
    town.chain.plane.faults.add("*", "*", "ServiceUnavailable", 503, ALWAYS, region=region)
    night = scans.scan()
    is_partial(scans, night)
    assert {gap.region for gap in night.unread} == {region}
    assert not_verified(night) == {store_id(1), store_id(3)}
    assert codes(night) == [DARK]
    assert (night.totals.verified, night.totals.dark, night.totals.not_verified) == (1, 1, 2)
    comes_round(scans)


def test_credentials_that_expire_half_way_leave_what_was_read_and_no_more(
    dark: tuple[Town, Scans],
) -> None:
    town, scans = dark
    with _expired_after(town, 12):
        night = scans.scan()
    is_partial(scans, night)
    assert not_verified(night)
    comes_round(scans)


def test_credentials_that_are_expired_leave_nothing_verified(dark: tuple[Town, Scans]) -> None:
    town, scans = dark
    with _expired_after(town, 0):
        night = scans.scan()
    is_partial(scans, night)
    assert not_verified(night) == {store_id(number) for number in range(PLAN.stores)}
    assert night.totals.verified == 0
    assert [told.change for told in night.findings] == [FindingChange.NOT_VERIFIED]
    comes_round(scans)


def test_throttling_that_ends_only_takes_longer(dark: tuple[Town, Scans]) -> None:
    town, scans = dark
    town.chain.plane.faults.add("ecs", "DescribeServices", "ThrottlingException", 400, 1)
    night = scans.scan()
    assert night.unread == ()
    assert night.scan.throttled == 1
    assert codes(night) == [DARK]


@pytest.mark.parametrize("off_s", [-3 * HOUR, 3 * HOUR])
def test_a_wrong_clock_of_ours_is_said_and_changes_no_finding(
    dark: tuple[Town, Scans], monkeypatch: pytest.MonkeyPatch, off_s: float
) -> None:
    _town, scans = dark
    right = scans.now
    monkeypatch.setattr(scans, "now", lambda: right() + timedelta(seconds=off_s))
    night = scans.scan(digests=True, deep=True)
    assert codes(night) == [DARK]
    assert [told.change for told in night.findings] == [FindingChange.SAME]
    assert abs(night.scan.started_at - right()) < timedelta(minutes=10)
    assert any("clock" in note for note in night.notes)


# As cron runs it.


class Typed:
    """A town whose clock runs, and ``fleet drift`` typed in it."""

    def __init__(self, town: Town) -> None:
        self.town = town
        town.clock.set_rate(60)
        town.chain.schedule.start()
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "FLEET_"))}
        self.env = {**kept, **town.environment(), "HOME": str(town.folder), "COLUMNS": "120"}

    def drift(self, *words: str, before: Callable[[], None] | None = None) -> Any:
        return subprocess.run(
            [*FLEET, "drift", *words],
            cwd=self.town.folder,
            env=self.env,
            capture_output=True,
            text=True,
            timeout=HANGS_S,
            preexec_fn=before,
            check=False,
        )

    @property
    def database(self) -> Path:
        (found,) = (self.town.folder / ".fleet").glob("*.db")
        return found


@pytest.fixture
def typed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Typed]:
    with dark_town(tmp_path, monkeypatch) as (town, _scans):
        yield Typed(town)


def test_a_full_database_costs_the_history_and_not_the_night(typed: Typed) -> None:
    limit = typed.database.stat().st_size
    typed.env["PYTHONDONTWRITEBYTECODE"] = "1"  # the limit would leave truncated files of it

    def full() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    ran = typed.drift(before=full)
    assert ran.returncode == 1, ran.stdout + ran.stderr
    assert "SITE_DARK" in ran.stdout
    assert "not recorded" in ran.stdout
    assert typed.drift().returncode == 3


@pytest.mark.long  # every write waits for the lock, as it should
def test_a_locked_database_costs_the_history_and_not_the_night(typed: Typed) -> None:
    with contextlib.closing(sqlite3.connect(typed.database)) as holder:
        holder.execute("BEGIN IMMEDIATE")
        ran = typed.drift()
    assert ran.returncode == 1, ran.stdout + ran.stderr
    assert "SITE_DARK" in ran.stdout
    assert "not recorded" in ran.stdout


def test_a_report_folder_that_cannot_be_written_costs_the_report_alone(typed: Typed) -> None:
    (typed.town.folder / "out").write_text("a file, and no folder")
    ran = typed.drift("--report", "out")
    assert ran.returncode == 1, ran.stdout + ran.stderr
    assert "SITE_DARK" in ran.stdout
    assert "out" in ran.stderr


def _watched(town: Town) -> set[tuple[str, str]]:
    """What operators ask from now on."""
    plane, asked = town.chain.plane, set[tuple[str, str]]()
    perform, operators = plane.perform, {access_key_for(a.account_id) for a in plane.accounts}

    def noted(service: str, action: str, body: Mapping[str, Any], **more: Any) -> Any:
        if more["access_key"] in operators:
            asked.add((service, action))
        return perform(service, action, body, **more)

    setattr(plane, "perform", noted)  # noqa: B010 - mypy takes no assignment to a method
    return asked


@contextlib.contextmanager
def _expired_after(town: Town, calls: int) -> Iterator[None]:
    """So many calls of operators are answered, and then their credentials have run out."""
    plane = town.chain.plane
    perform, operators = plane.perform, {access_key_for(a.account_id) for a in plane.accounts}
    left = [calls]

    def expiring(service: str, action: str, body: Mapping[str, Any], **more: Any) -> Any:
        if more["access_key"] in operators:
            left[0] -= 1
            if left[0] < 0:
                raise AwsFault(
                    "ExpiredTokenException",
                    "The security token included in the request is expired",
                )
        return perform(service, action, body, **more)

    setattr(plane, "perform", expiring)  # noqa: B010 - mypy takes no assignment to a method
    try:
        yield
    finally:
        setattr(plane, "perform", perform)  # noqa: B010 - as above
