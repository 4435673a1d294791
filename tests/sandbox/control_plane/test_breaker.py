from hypothesis import given
from hypothesis import strategies as st

from fleet.sandbox.control_plane.deployments import DEFAULT_BREAKER as DEFAULT
from fleet.sandbox.control_plane.deployments import threshold

PERCENT = st.integers(1, 100)
DESIRED = st.integers(0, 5000)


def settings(kind: str, value: int) -> dict[str, object]:
    return {**DEFAULT, "thresholdConfiguration": {"type": kind, "value": value}}


def test_one_task_may_fail_three_times_by_default() -> None:
    assert threshold(DEFAULT, 1) == 3


def test_by_default_it_is_half_of_the_tasks() -> None:
    assert [threshold(DEFAULT, desired) for desired in (7, 8, 100, 1000)] == [4, 4, 50, 200]


@given(st.integers(1, 1000), DESIRED)
def test_a_count_is_taken_as_it_is(value: int, desired: int) -> None:
    assert threshold(settings("COUNT", value), desired) == value


@given(PERCENT, DESIRED)
def test_a_bounded_percentage_stays_between_3_and_200(value: int, desired: int) -> None:
    assert 3 <= threshold(settings("BOUNDED_PERCENT", value), desired) <= 200


@given(PERCENT, DESIRED)
def test_an_unbounded_percentage_is_rounded_up_and_never_zero(value: int, desired: int) -> None:
    found = threshold(settings("UNBOUNDED_PERCENT", value), desired)
    assert found >= 1
    assert found == 1 or (found - 1) * 100 < value * desired <= found * 100
