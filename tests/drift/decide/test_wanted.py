"""What each store should be, from the release and from what rollouts say."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from fleet.drift.decide.wanted import (
    idle_rollouts,
    owed_words,
    release_lines,
    release_name,
    waiting_rollouts,
    wanted_of,
)
from fleet.model.desired import DesiredService, Release, Scheduling, ServiceShape
from fleet.model.drift import ShardSeen, StoreSeen
from fleet.model.history import ActiveRollout, RolloutSummary
from fleet.model.inventory import Image, Lifecycle, Workload
from fleet.model.observed import NotRead, Reading
from fleet.model.rollout import Hold, Phase
from fleet.model.scan_result import ReleaseLine
from fleet.model.services import Deployment, ServiceState
from fleet.model.verdicts import Stage, Verdict
from fleet.model.wanted import Owed, Wanted
from tests import build, rollouts
from tests.drift.decide.night_parts import DAY, HOUR, LAST_NIGHT, TONIGHT, background
from tests.shops import SHAPE

STORE = build.store(id="store-001", cluster="store-001")
OTHER = build.store(id="store-002", cluster="store-002")
SERVICE = DesiredService("store-001", SHAPE.name, "new", ("cam-1",))
RELEASE = Release("r", "i", (SERVICE,), {SHAPE.name: SHAPE}, {})
NOW = build.NOW


def test_a_store_wants_the_services_of_the_release() -> None:
    found = wanted_of([STORE, OTHER], RELEASE, [], [], NOW)
    assert (found["store-001"].services, found["store-002"].services) == ((SERVICE,), ())


def test_without_a_release_no_service_is_known_and_debts_still_are() -> None:
    change = replace(rollouts.change("store-001", Verdict.PARKED), since=NOW)
    found = wanted_of([STORE], NotRead("no image"), [("ro-1", change)], [], NOW)["store-001"]
    assert found.services == ()
    assert (found.owed[change.service].rollout, found.owed[change.service].words) == (
        "ro-1",
        "parked",
    )


def test_of_two_rollouts_the_later_one_is_owed() -> None:
    change = rollouts.change("store-001", Verdict.PARKED)
    owed = [("ro-1", change), ("ro-2", replace(change, content="newer"))]
    found = wanted_of([STORE], RELEASE, owed, [], NOW)["store-001"].owed[change.service]
    assert (found.rollout, found.content) == ("ro-2", "newer")


def test_a_dark_store_that_was_set_back_is_told_so() -> None:
    change = replace(rollouts.change("store-001", Verdict.DARK), stage=Stage.UNDONE)
    found = wanted_of([STORE], RELEASE, [("ro-1", change)], [], NOW)["store-001"]
    assert found.owed[change.service].words == "dark, set back"


def test_a_debt_without_a_time_of_its_own_is_as_old_as_this_scan() -> None:
    change = replace(
        rollouts.change("store-001", Verdict.PARKED), since=None, looked_at=None, sent_at=None
    )
    found = wanted_of([STORE], RELEASE, [("ro-1", change)], [], NOW)["store-001"]
    assert found.owed[change.service].since == NOW


def test_a_store_that_an_active_rollout_holds_is_in_work() -> None:
    holds = [
        Hold("store-001", "vision", "ro-2", "me", NOW - timedelta(hours=1)),
        Hold("store-001", "telemetry", "ro-3", "me", NOW),
    ]
    found = wanted_of([STORE, OTHER], RELEASE, [], holds, NOW)
    assert found["store-001"].rolling == {SHAPE.name: "ro-2"}
    assert found["store-002"].rolling == {}


def test_what_a_rollout_that_stands_still_holds_is_stalled_and_not_in_work() -> None:
    holds = [Hold("store-001", "vision", "ro-2", "me", NOW)]
    found = wanted_of([STORE], RELEASE, [], holds, NOW, idle={"ro-2"})["store-001"]
    assert (found.rolling, found.idle) == ({}, {SHAPE.name: "ro-2"})


def rollout(phase: Phase, *, phase_ago: timedelta, moved_ago: timedelta) -> ActiveRollout:
    since, moved = TONIGHT - phase_ago, TONIGHT - moved_ago
    return ActiveRollout("ro-118", phase, ("vision",), 800, "why", since, moved)


@pytest.mark.parametrize("phase", [Phase.PAUSED, Phase.HALTED, Phase.AWAITING])
def test_one_that_waits_for_a_person_stands_still_however_often_it_is_ticked(phase: Phase) -> None:
    one = rollout(phase, phase_ago=2 * DAY, moved_ago=timedelta(0))
    (found,) = idle_rollouts([one], TONIGHT, DAY.total_seconds())
    assert (found.rollout.id, found.since, found.waits) == ("ro-118", one.phase_at, True)


@pytest.mark.parametrize("phase", [Phase.RUNNING, Phase.ROLLING_BACK])
def test_one_that_nobody_ticks_stands_still_since_its_last_tick(phase: Phase) -> None:
    one = rollout(phase, phase_ago=3 * DAY, moved_ago=2 * DAY)
    (found,) = idle_rollouts([one], TONIGHT, DAY.total_seconds())
    assert (found.since, found.waits) == (one.moved_at, False)


@pytest.mark.parametrize(
    "one",
    [
        rollout(Phase.RUNNING, phase_ago=9 * DAY, moved_ago=HOUR),
        rollout(Phase.HALTED, phase_ago=23 * HOUR, moved_ago=HOUR),
    ],
)
def test_one_that_moves_or_has_just_stopped_does_not(one: ActiveRollout) -> None:
    assert idle_rollouts([one], TONIGHT, DAY.total_seconds()) == ()


VISION = Workload("vision", "vision.yaml.j2", {}, {}, {"app": Image("ecr.example/vision:1.9.0")})
TELEMETRY = Workload("telemetry", "telemetry.yaml.j2", {}, {})
OLD, NEW = "arn:task-definition/vision-arm64:41", "arn:task-definition/vision-arm64:42"
CONTENTS = {OLD: "c-old", NEW: "c-new"}


def shape(name: str, workload: str) -> ServiceShape:
    return ServiceShape(name, workload, "arm64", "arm64", Scheduling.REPLICA, ())


SHAPES = {
    "vision-arm64": shape("vision-arm64", "vision"),
    "vision-jetpack6": shape("vision-jetpack6", "vision"),
    "telemetry-amd64": shape("telemetry-amd64", "telemetry"),
}
COMMITTED = Release("4ebe781db2a7", "inventory", (), SHAPES, {})


def wanted(store: str = "store-1", *services: str, **changes: Any) -> Wanted:
    shop = build.store(id=store, **changes)
    named = services or ("vision-arm64",)
    return Wanted(shop, tuple(DesiredService(store, name, "c-new", ("cam-1",)) for name in named))


def running(arn: str = NEW, name: str = "vision-arm64", **changes: Any) -> ServiceState:
    service = ServiceState("store-1", name, "arn:s", "ACTIVE", arn, "REPLICA", 1, 1, 0)
    return replace(service, **changes)


def deployment(arn: str, running: int) -> Deployment:
    return Deployment("d", "ACTIVE", arn, running, 0, running, 0, "IN_PROGRESS")


def shard(**stores: tuple[ServiceState, ...] | NotRead) -> ShardSeen:
    seen = {}
    for key, services in stores.items():
        store = key.replace("_", "-")
        read = services if isinstance(services, NotRead) else Reading(services, TONIGHT)
        seen[store] = StoreSeen(store, Reading((), TONIGHT), read)
    nothing = NotRead("not asked for")
    return ShardSeen("emea-prod", "eu-west-1", nothing, nothing, nothing, nothing, nothing, seen)


def lines(
    seen: ShardSeen, *wants: Wanted, rollouts: tuple[RolloutSummary, ...] = (), **more: Any
) -> tuple[ReleaseLine, ...]:
    given = background(release=COMMITTED, contents=CONTENTS, **more)
    by_store = {one.store.id: one for one in wants or (wanted(),)}
    return release_lines([VISION, TELEMETRY], [seen], by_store, given, rollouts)


def count(seen: ShardSeen, *wants: Wanted) -> tuple[int, int, int]:
    (line,) = lines(seen, *wants)
    return line.on, line.of, line.owed


def owed(content: str = "c-new", rollout: str = "ro-118") -> Owed:
    return Owed(rollout, "vision-arm64", content, "parked", LAST_NIGHT)


def test_a_store_that_runs_what_is_wanted_is_on_the_release() -> None:
    assert lines(shard(store_1=(running(),))) == (ReleaseLine("vision", "1.9.0", 1, 1, 0),)


@pytest.mark.parametrize(
    "services",
    [
        (),
        (running(OLD),),
        (running("arn:somebody-elses"),),
        (running(status="DRAINING"),),
        (running(name="telemetry-amd64"),),
        (running(deployments=(deployment(NEW, 0), deployment(OLD, 1))),),
        NotRead("AccessDenied"),
    ],
)
def test_a_store_of_which_that_is_not_sure_is_not(
    services: tuple[ServiceState, ...] | NotRead,
) -> None:
    assert count(shard(store_1=services)) == (0, 1, 0)


def test_an_old_deployment_without_tasks_is_over() -> None:
    done = running(deployments=(deployment(NEW, 1), deployment(OLD, 0)))
    assert count(shard(store_1=(done,))) == (1, 1, 0)


def test_a_store_that_was_not_seen_at_all_should_run_it_and_does_not() -> None:
    assert count(shard()) == (0, 1, 0)


def test_a_store_that_was_not_read_is_told_apart_from_one_that_does_not_run_it() -> None:
    unread, read = shard(store_1=NotRead("AccessDenied")), shard(store_1=(running(OLD),))

    assert [line.unread for line in (*lines(unread), *lines(read))] == [1, 0]


def test_all_services_of_a_workload_have_to_run_it() -> None:
    both = wanted("store-1", "vision-arm64", "vision-jetpack6")
    assert count(shard(store_1=(running(),)), both) == (0, 1, 0)
    two = (running(), running(name="vision-jetpack6"))
    assert count(shard(store_1=two), both) == (1, 1, 0)


def test_a_store_that_owes_the_release_is_not_on_it_whatever_its_service_says() -> None:
    owing = replace(wanted(), owed={"vision-arm64": owed()})
    assert count(shard(store_1=(running(),)), owing) == (0, 1, 1)


def test_a_store_that_owes_an_older_release_is_judged_by_what_it_runs() -> None:
    owing = replace(wanted(), owed={"vision-arm64": owed("c-old")})
    assert count(shard(store_1=(running(),)), owing) == (1, 1, 0)


def test_stores_that_are_not_open_are_not_counted() -> None:
    seen = shard(store_1=(running(),), store_2=(running(),))
    paused = wanted("store-2", lifecycle=Lifecycle.PAUSED)
    assert count(seen, wanted(), paused) == (1, 1, 0)


@pytest.mark.parametrize(
    ("phase", "waits"),
    [(phase, phase in {Phase.PAUSED, Phase.HALTED, Phase.AWAITING}) for phase in Phase],
)
def test_a_rollout_waits_from_the_moment_a_person_must_decide(phase: Phase, waits: bool) -> None:
    one = rollout(phase, phase_ago=timedelta(0), moved_ago=timedelta(0))
    assert waiting_rollouts([one], [], whole=True) == ((one,) if waits else ())


@pytest.mark.parametrize(("holds", "told"), [("ro-118", True), ("ro-119", False)])
@pytest.mark.parametrize("how", ["rolling", "idle"])
def test_a_scan_of_a_part_tells_of_the_rollouts_that_hold_it(
    holds: str, told: bool, how: str
) -> None:
    one = rollout(Phase.HALTED, phase_ago=HOUR, moved_ago=HOUR)
    held = {SHAPE.name: holds}
    store = replace(wanted(), rolling=held) if how == "rolling" else replace(wanted(), idle=held)
    assert waiting_rollouts([one], [store], whole=False) == ((one,) if told else ())


def test_workloads_come_by_name_and_the_latest_rollout_that_changes_each_is_told() -> None:
    def rollout(number: int, *workloads: str, ended: bool) -> RolloutSummary:
        at = TONIGHT if ended else None
        phase = Phase.DONE if ended else Phase.HALTED
        name = f"ro-{number}"
        asked = ("vision", "telemetry")
        return replace(
            RolloutSummary(name, "", "", "", asked, "arn:me", LAST_NIGHT, at, phase, "", 1, {}),
            changed=workloads,
        )

    newest_first = (
        rollout(118, "vision", ended=False),
        rollout(117, "vision", "telemetry", ended=True),
    )
    both = wanted("store-1", "vision-arm64", "telemetry-amd64")
    told = lines(shard(), both, rollouts=newest_first)
    assert [(line.workload, line.rollout) for line in told] == [
        ("telemetry", "ro-117 DONE, ended 23 Nov 03:31Z"),
        ("vision", "ro-118 HALTED, begun 22 Nov 03:31Z"),
    ]


def test_without_a_release_there_is_nothing_to_be_on() -> None:
    no_release = background(release=NotRead("a template is broken"))
    assert release_lines([VISION], [shard()], {"store-1": wanted()}, no_release, ()) == ()


@pytest.mark.parametrize(
    ("references", "name"),
    [
        (["ecr.example/vision:1.9.0"], "1.9.0"),
        (["ecr.example:5000/shop/vision:1.9.0@sha256:9b1c"], "1.9.0"),
        (["ecr.example/b:2.0", "ecr.example/a:1.0", "ecr.example/c:1.0"], "1.0, 2.0"),
        (["ecr.example:5000/vision@sha256:9b1c"], "4ebe781db2a7"),
        ([], "4ebe781db2a7"),
    ],
)
def test_a_release_is_called_by_the_tags_of_its_images(references: list[str], name: str) -> None:
    images = {str(number): Image(reference) for number, reference in enumerate(references)}
    assert release_name(replace(VISION, images=images), COMMITTED) == name


@pytest.mark.parametrize(
    ("debts", "words"),
    [
        ({}, ""),
        ({"vision-arm64": owed()}, "vision 1.9.0 (ro-118)"),
        ({"vision-arm64": owed("c-old")}, "vision (ro-118)"),
        ({"gone-arm64": owed()}, "gone-arm64 (ro-118)"),
        (
            {"telemetry-amd64": owed(rollout="ro-120"), "vision-arm64": owed()},
            "telemetry 4ebe781db2a7 (ro-120), vision 1.9.0 (ro-118)",
        ),
    ],
)
def test_what_a_store_owes_is_named(debts: dict[str, Owed], words: str) -> None:
    one = replace(wanted("store-1", "telemetry-amd64", "vision-arm64"), owed=debts)
    workloads = {"vision": VISION, "telemetry": TELEMETRY}
    assert owed_words(one, workloads, COMMITTED) == words


def test_what_a_store_owes_is_named_by_its_service_where_the_release_is_not_known() -> None:
    one = replace(wanted(), owed={"vision-arm64": owed()})
    assert owed_words(one, {"vision": VISION}, NotRead("broken")) == "vision-arm64 (ro-118)"
