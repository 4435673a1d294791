import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.sandbox.agents.health import HealthCheck, healthy_after, unhealthy_after
from fleet.sandbox.agents.images import GOOD, ImageBehaviour

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
    assert healthy_after(check, GOOD, bad=False) == check.interval_s
    assert unhealthy_after(check, GOOD, bad=False) is None


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
