import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.errors import UsageError
from fleet.sandbox.clock import SandboxClock


def test_a_stepped_clock_stands_still_until_it_is_advanced() -> None:
    clock = SandboxClock(rate=0, start=1000.0)
    assert clock.now() == 1000.0
    assert clock.advance(90) == 1090.0
    assert clock.now() == 1090.0


def test_a_fast_clock_gains_rate_seconds_per_real_second() -> None:
    clock = SandboxClock(rate=1000, start=0.0)
    before = time.monotonic()
    time.sleep(0.02)
    reached = clock.now()
    assert 20 <= reached <= (time.monotonic() - before) * 1000 + 1000


def test_a_fast_clock_can_be_advanced_too() -> None:
    clock = SandboxClock(rate=1, start=0.0)
    assert clock.advance(86_400) >= 86_400


def test_a_clock_at_another_rate_goes_on_from_where_it_was() -> None:
    clock = SandboxClock(rate=0, start=1000.0)
    clock.set_rate(1e6)
    assert clock.wait_until(5000.0, timeout=5)
    clock.set_rate(0)
    stood = clock.now()
    assert stood >= 5000
    assert clock.now() == stood


def test_whoever_waits_notices_that_the_rate_has_changed() -> None:
    clock = SandboxClock(rate=0, start=0.0)
    seen: list[bool] = []
    thread = threading.Thread(target=lambda: seen.append(clock.wait_until(100.0, timeout=10)))
    thread.start()
    clock.set_rate(1e6)
    thread.join()
    assert seen == [True]


@pytest.mark.parametrize("rate", [-1.0, float("nan"), float("inf")])
def test_a_rate_that_is_none_is_refused_and_changes_nothing(rate: float) -> None:
    clock = SandboxClock(rate=0, start=1000.0)
    with pytest.raises(UsageError, match="clock rate"):
        clock.set_rate(rate)
    assert clock.rate == 0


def test_a_clock_without_a_start_begins_at_the_machines_time() -> None:
    assert abs(SandboxClock().now() - time.time()) < 60


@given(st.lists(st.floats(min_value=0, max_value=1e6), max_size=20))
def test_time_never_runs_backwards(steps: list[float]) -> None:
    clock = SandboxClock(rate=0, start=5.0)
    seen = [clock.now(), *(clock.advance(step) for step in steps)]
    assert seen == sorted(seen)


@pytest.mark.parametrize("seconds", [-1.0, float("nan"), float("inf")])
def test_time_cannot_be_advanced_by_nonsense(seconds: float) -> None:
    clock = SandboxClock(rate=0, start=5.0)
    with pytest.raises(UsageError, match="cannot advance"):
        clock.advance(seconds)
    assert clock.now() == 5.0


@pytest.mark.parametrize("rate", [-1.0, float("nan"), float("inf")])
def test_a_rate_that_is_none_is_refused(rate: float) -> None:
    with pytest.raises(UsageError, match="clock rate"):
        SandboxClock(rate=rate)


def test_waiting_ends_when_another_thread_advances_the_clock() -> None:
    clock = SandboxClock(rate=0, start=0.0)
    reached: list[bool] = []
    waiter = threading.Thread(target=lambda: reached.append(clock.wait_until(60, timeout=30)))
    waiter.start()
    clock.advance(60)
    waiter.join()
    assert reached == [True]


def test_waiting_for_a_stepped_clock_gives_up_in_real_time() -> None:
    assert not SandboxClock(rate=0, start=0.0).wait_until(1, timeout=0.01)


def test_waiting_on_a_fast_clock_takes_the_real_share_of_the_time() -> None:
    clock = SandboxClock(rate=10_000, start=0.0)
    assert clock.wait_until(100, timeout=30)
    assert clock.now() >= 100


def test_a_moment_that_has_passed_needs_no_waiting() -> None:
    assert SandboxClock(rate=0, start=9.0).wait_until(9.0, timeout=0)
