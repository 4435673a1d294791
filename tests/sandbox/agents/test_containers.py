from itertools import groupby

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.sandbox.agents.containers import HealthCheck, healthy_after, unhealthy_after
from fleet.sandbox.agents.images import GOOD as GOOD_IMAGE
from fleet.sandbox.agents.images import ImageBehaviour
from tests.sandbox.agents.acs_rig import BAD, GOOD, AcsRig, checked, container, task

ECR = "111122223333.dkr.ecr.eu-west-1.amazonaws.com"


def reason(acs: AcsRig, name: str = "t1") -> str:
    assert acs.statuses(name) == ["STOPPED"]
    return str(acs.last(name)["containers"][0]["reason"])


@pytest.mark.parametrize(
    ("behaviour", "error"),
    [
        ({"pull": "missing"}, "CannotPullImageManifestError: "),
        ({"pull": "denied"}, "CannotPullContainerError: pull access denied"),
        (
            {"architectures": ["arm64"]},
            "CannotPullContainerError: no matching manifest for linux/amd64",
        ),
        ({"pull_fails": 1}, "CannotPullContainerError: error pulling image"),
        ({"size_mb": 50000}, "CannotPullContainerError: failed to register layer: "),
    ],
)
def test_a_pull_fails_in_the_agents_words(
    acs: AcsRig, behaviour: dict[str, object], error: str
) -> None:
    acs.images.tell({BAD: behaviour})
    acs.run(task("t1", container(BAD)), seconds=6000)
    assert reason(acs).startswith(error)


def test_pulls_fail_so_many_times_and_then_no_more(acs: AcsRig) -> None:
    acs.images.tell({BAD: {"pull_fails": 2}})
    for name in ("t1", "t2", "t3"):
        acs.run(task(name, container(BAD)))
    assert [acs.statuses(n)[0] for n in ("t1", "t2", "t3")] == ["STOPPED", "STOPPED", "RUNNING"]


def test_failed_pulls_are_counted_over_the_sandboxs_end(acs: AcsRig) -> None:
    acs.images.tell({BAD: {"pull_fails": 1}})
    acs.run(task("t1", container(BAD)))
    acs.again()
    acs.run(task("t2", container(BAD)))
    assert acs.statuses("t2") == ["RUNNING"]


def test_a_behaviour_for_other_hosts_is_none(acs: AcsRig) -> None:
    acs.images.tell({BAD: {"pull": "missing", "run": "crash", "on": ["arm64"]}})
    acs.run(task("t1", container(BAD)), seconds=300)
    assert acs.statuses("t1") == ["RUNNING"]


def test_an_image_that_is_there_is_not_fetched_again(acs: AcsRig) -> None:
    acs.images.tell({GOOD: {"size_mb": 3000}})
    acs.run(task("t1"), seconds=400)
    acs.run(task("t2"), seconds=5)
    assert acs.statuses("t2") == ["RUNNING"]


def test_an_image_under_two_references_takes_its_space_once(acs: AcsRig) -> None:
    digest = "sha256:" + "a" * 64
    acs.run(task("t1", container(f"shops/vision@{digest}")), seconds=120)
    free = acs.host.disk_free_mb()
    acs.run(task("t2", container(f"other/vision@{digest}")), seconds=5)
    assert acs.statuses("t2") == ["RUNNING"]
    assert acs.host.disk_free_mb() == free == acs.host.spec.disk_free_mb - 200


@pytest.mark.parametrize(
    ("behaviour", "outcome"),
    [
        ("default", "RUNNING"),
        ("once", "RUNNING"),
        ("prefer-cached", "RUNNING"),
        ("always", "STOPPED"),
    ],
)
def test_without_a_registry_the_pull_behaviour_decides_about_a_cached_image(
    acs: AcsRig, behaviour: str, outcome: str
) -> None:
    acs.host.set(ECS_IMAGE_PULL_BEHAVIOR=behaviour)
    acs.clock.advance(5)
    acs.run(task("t1"))
    acs.host.set_conditions({"blocked": ["registry-1.docker.io"]})
    acs.run(task("t2"), seconds=120)
    assert acs.statuses("t2") == [outcome]


@pytest.mark.parametrize(("behaviour", "pulled"), [("default", True), ("once", False)])
def test_only_a_pull_gives_pull_times_and_a_digest(
    acs: AcsRig, behaviour: str, pulled: bool
) -> None:
    acs.host.set(ECS_IMAGE_PULL_BEHAVIOR=behaviour)
    acs.clock.advance(5)
    acs.run(task("t1"))
    acs.run(task("t2"))
    body = acs.last("t2")
    assert ("pullStartedAt" in body, "pullStoppedAt" in body) == (pulled, pulled)
    assert ("imageDigest" in body["containers"][0]) is pulled


def test_a_pull_goes_on_at_the_speed_that_the_link_has_now(acs: AcsRig) -> None:
    acs.images.tell({GOOD: {"size_mb": 100}})
    acs.host.set_conditions({"slow_to_mbps": 0.8})
    acs.payload(task("t1"))
    acs.clock.advance(500)
    assert acs.statuses("t1") == []
    acs.host.set_conditions({"slow_to_mbps": None})
    acs.clock.advance(8)
    assert acs.statuses("t1") == ["RUNNING"]


def test_two_pulls_share_the_link(acs: AcsRig) -> None:
    acs.images.tell({GOOD: {"size_mb": 100}, BAD: {"size_mb": 100}})
    acs.run(task("t1"), task("t2", container(BAD)))
    for name in ("t1", "t2"):
        body = acs.last(name)
        assert body["pullStoppedAt"] - body["pullStartedAt"] == pytest.approx(20, abs=0.1)


def test_a_short_cut_only_delays_a_pull(acs: AcsRig) -> None:
    acs.images.tell({GOOD: {"size_mb": 100}})
    acs.payload(task("t1"))
    acs.clock.advance(5)
    acs.host.set_conditions({"cut_by": ["store"]})
    acs.clock.advance(30)
    acs.host.set_conditions({"cut_by": []})
    acs.clock.advance(8)
    assert acs.statuses("t1") == ["RUNNING"]


def test_a_pull_without_progress_is_given_up(acs: AcsRig) -> None:
    acs.payload(task("t1"))
    acs.clock.advance(5)
    acs.host.set_conditions({"cut_by": ["store"]})
    acs.clock.advance(90)
    acs.host.set_conditions({"cut_by": []})
    acs.clock.advance(300)
    assert "i/o timeout" in reason(acs)


def test_a_registry_behind_a_firewall_is_not_reached(acs: AcsRig) -> None:
    acs.host.set_conditions({"blocked": [ECR]})
    acs.run(task("t1", container(f"{ECR}/vision:1")), task("t2"), seconds=90)
    assert ECR in reason(acs)
    assert acs.statuses("t2") == ["RUNNING"]


def test_a_crashs_last_line_is_kept(acs: AcsRig) -> None:
    line = "libnvinfer.so.8: cannot open shared object file"
    acs.images.tell({BAD: {"run": "crash", "log": line}})
    acs.run(task("t1", container(BAD)))
    assert [c.log for c in acs.host.containers.all()] == [[line]]


def test_a_health_check_turns_healthy_after_its_first_probe(acs: AcsRig) -> None:
    acs.run(task("t1", container(**checked(interval=20))), seconds=23)
    assert acs.aws.healths == []
    acs.clock.advance(20)
    (body,) = acs.aws.healths
    assert body["cluster"] == "store-042"
    assert body["tasks"][0]["containers"] == [{"containerName": "app", "healthStatus": "HEALTHY"}]


def healths(acs: AcsRig) -> list[str]:
    """What changed; with each new session the agent tells it anew."""
    told = [b["tasks"][0]["containers"][0]["healthStatus"] for b in acs.aws.healths]
    return [state for state, _ in groupby(told)]


def test_a_bad_image_turns_unhealthy_after_its_retries(acs: AcsRig) -> None:
    acs.images.tell({BAD: {"run": "unhealthy", "after_s": 0}})
    acs.run(task("t1", container(BAD, **checked(interval=10, retries=3))), seconds=45)
    assert healths(acs) == []
    acs.clock.advance(10)
    assert healths(acs) == ["UNHEALTHY"]


def test_an_image_may_turn_bad_late(acs: AcsRig) -> None:
    acs.images.tell({BAD: {"run": "unhealthy", "after_s": 600}})
    acs.run(task("t1", container(BAD, **checked())), seconds=300)
    assert healths(acs) == ["HEALTHY"]
    acs.clock.advance(600)
    assert healths(acs) == ["HEALTHY", "UNHEALTHY"]


def test_health_that_could_not_be_told_is_told_after_the_outage(acs: AcsRig) -> None:
    acs.run(task("t1", container(**checked())), seconds=25)
    acs.host.set_conditions({"cut_by": ["store"]})
    acs.clock.advance(600)
    assert healths(acs) == []
    acs.host.set_conditions({"cut_by": []})
    acs.clock.advance(150)
    assert healths(acs)[-1] == "HEALTHY"


def test_an_image_that_kills_the_link_cuts_its_host_off(acs: AcsRig) -> None:
    acs.images.tell({BAD: {"run": "kills-link", "after_s": 30}})
    acs.run(task("t1", container(BAD)), seconds=40)
    assert acs.host.conditions.cut_by == []
    acs.clock.advance(30)
    assert acs.host.conditions.cut_by == ["image"]
    assert acs.running() == [BAD]


def test_the_good_image_in_its_place_frees_the_link(acs: AcsRig) -> None:
    acs.images.tell({BAD: {"run": "kills-link", "after_s": 30}})
    acs.run(task("t1", container(BAD)), seconds=90)
    acs.host.ecs_agent.tasks.stop_tasks([task("t1")["arn"]])
    acs.clock.advance(5)
    assert acs.host.conditions.cut_by == ["image"]
    acs.host.ecs_agent.tasks.payload([task("t2")])
    acs.clock.advance(1)
    acs.host.set_conditions({"cut_by": []})
    acs.clock.advance(60)
    acs.host.set_conditions({"cut_by": ["image", "store"]})
    acs.host.ecs_agent.tasks.payload([task("t3")])
    acs.clock.advance(90)
    assert acs.host.conditions.cut_by == ["store"]


def test_a_link_that_was_restored_by_hand_is_not_cut_again_by_a_sandbox_that_comes_back(
    acs: AcsRig,
) -> None:
    acs.images.tell({BAD: {"run": "kills-link", "after_s": 30}})
    acs.run(task("t1", container(BAD)), seconds=90)
    acs.host.set_conditions({"cut_by": []})
    acs.clock.advance(600)
    acs.again()
    acs.clock.advance(600)
    assert acs.host.conditions.cut_by == []


checks = st.builds(
    HealthCheck,
    interval_s=st.integers(5, 300).map(float),
    retries=st.integers(1, 10),
    start_period_s=st.integers(0, 300).map(float),
)
bad_from = st.integers(0, 2000).map(lambda after: ImageBehaviour(run="unhealthy", after_s=after))


@given(checks)
def test_a_good_image_turns_healthy_at_its_first_probe_and_never_unhealthy(
    check: HealthCheck,
) -> None:
    assert healthy_after(check, GOOD_IMAGE, bad=False) == check.interval_s
    assert unhealthy_after(check, GOOD_IMAGE, bad=False) is None


@given(checks, bad_from)
def test_a_bad_image_turns_unhealthy_at_a_probe_with_all_retries_failed_and_counted(
    check: HealthCheck, behaviour: ImageBehaviour
) -> None:
    moment = unhealthy_after(check, behaviour, bad=True)
    assert moment is not None
    probes = [check.interval_s * n for n in range(1, 3000)]
    failed = [p for p in probes if p >= behaviour.after_s and p >= check.start_period_s]
    assert moment == pytest.approx(failed[check.retries - 1])


@given(checks, bad_from)
def test_an_image_is_healthy_first_only_if_it_is_good_at_the_first_probe(
    check: HealthCheck, behaviour: ImageBehaviour
) -> None:
    first = healthy_after(check, behaviour, bad=True)
    assert (first is None) == (behaviour.after_s <= check.interval_s)
    if first is not None:
        assert first < (unhealthy_after(check, behaviour, bad=True) or 0)
