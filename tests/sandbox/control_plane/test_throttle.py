import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.sandbox.agents.session import AwsFault
from fleet.sandbox.control_plane.throttle import RequestBucket, RequestRate
from tests.sandbox.control_plane.rig import APAC, Rig


def answered(rig: Rig, action: str, calls: int, **body: str) -> int:
    count = 0
    for _ in range(calls):
        try:
            rig.ecs(action, **body)
        except AwsFault:
            continue
        count += 1
    return count


def test_a_throttled_call_is_told_in_the_words_of_aws() -> None:
    rig = Rig(throttling=True)
    answered(rig, "CreateCluster", 20)
    with pytest.raises(AwsFault) as caught:
        rig.ecs("CreateCluster")
    rig.close()
    fault = caught.value
    assert (fault.code, fault.message, fault.status) == (
        "ThrottlingException",
        "Rate exceeded",
        400,
    )


@pytest.mark.parametrize(
    ("action", "burst", "refill"), [("CreateCluster", 20, 1), ("ListClusters", 50, 20)]
)
def test_the_published_burst_and_refill_hold(action: str, burst: int, refill: int) -> None:
    rig = Rig(throttling=True)
    assert answered(rig, action, 60) == burst
    rig.clock.advance(1)
    assert answered(rig, action, 60) == refill
    rig.close()


def test_actions_of_one_group_share_a_bucket_and_other_accounts_do_not() -> None:
    rig = Rig(throttling=True)
    assert answered(rig, "ListClusters", 40) == 40
    assert answered(rig, "DescribeClusters", 60) == 10
    rig.ecs("ListClusters", account=APAC)
    rig.ecs("ListClusters", region="ap-southeast-1")
    rig.close()


def test_throttling_can_be_switched_off_and_on(rig: Rig) -> None:
    assert answered(rig, "ListClusters", 60) == 60
    rig.plane.throttling = True
    assert answered(rig, "ListClusters", 60) == 50
    assert rig.plane.status()["throttled"] == 10


@given(
    burst=st.integers(1, 50),
    refill=st.floats(0.1, 50),
    gaps=st.lists(st.floats(0, 3), min_size=1, max_size=200),
)
def test_no_stretch_of_time_gives_more_than_burst_and_refill(
    burst: int, refill: float, gaps: list[float]
) -> None:
    now = 1000.0
    bucket = RequestBucket(RequestRate(burst, refill), now, burst)
    taken = []
    for gap in gaps:
        now += gap
        if bucket.take(now):
            taken.append(now)
    for index, first in enumerate(taken):
        last = taken[-1]
        assert len(taken) - index <= burst + refill * (last - first) + 1e-6


@given(st.lists(st.floats(-10, 10), max_size=50))
def test_a_clock_that_jumps_back_fills_no_bucket(steps: list[float]) -> None:
    bucket = RequestBucket(RequestRate(5, 0), 0.0, 5)
    now = 0.0
    taken = 0
    for step in steps:
        now += step
        taken += bucket.take(now)
    assert taken == min(5, len(steps))
