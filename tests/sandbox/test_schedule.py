import logging
import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.sandbox.clock import SandboxClock
from fleet.sandbox.schedule import Schedule


@pytest.fixture
def clock() -> SandboxClock:
    return SandboxClock(rate=0, start=0.0)


def test_a_timer_runs_at_its_own_moment_while_the_clock_jumps(clock: SandboxClock) -> None:
    schedule = Schedule(clock)
    seen: list[float] = []
    schedule.at(30, lambda: seen.append(clock.now()))
    schedule.at(10, lambda: seen.append(clock.now()))
    clock.advance(60)
    assert seen == [10, 30]
    assert clock.now() == 60


def test_timers_of_one_moment_run_in_the_order_they_were_asked_for(clock: SandboxClock) -> None:
    schedule = Schedule(clock)
    seen: list[str] = []
    for name in "abc":
        schedule.at(5, lambda name=name: seen.append(name))  # type: ignore[misc]  # default binds it
    clock.advance(5)
    assert seen == ["a", "b", "c"]


def test_a_repeating_timer_runs_once_per_period(clock: SandboxClock) -> None:
    schedule = Schedule(clock)
    seen: list[float] = []
    schedule.every(300, lambda: seen.append(clock.now()), first=1)
    clock.advance(1000)
    assert seen == [1, 301, 601, 901]


def test_a_repeating_timer_without_a_first_moment_waits_one_period(clock: SandboxClock) -> None:
    schedule = Schedule(clock)
    timer = schedule.every(300, lambda: None)
    assert timer.when == 300


def test_a_repeating_timer_that_fell_behind_skips_what_it_missed() -> None:
    clock = SandboxClock(rate=0, start=0.0)
    schedule = Schedule(clock)
    clock.step_with(None)
    seen: list[float] = []
    schedule.every(10, lambda: seen.append(clock.now()))
    clock.advance(95)
    assert schedule.run_due() == 1
    assert schedule.next_due() == 100


def test_a_cancelled_timer_does_not_run(clock: SandboxClock) -> None:
    schedule = Schedule(clock)
    seen: list[int] = []
    schedule.at(1, lambda: seen.append(1)).cancel()

    def once() -> None:
        seen.append(2)
        repeating.cancel()

    repeating = schedule.every(1, once)
    clock.advance(10)
    assert seen == [2]
    assert len(schedule) == 0
    assert schedule.next_due() is None


def test_a_timer_that_fails_is_logged_and_the_others_run(
    clock: SandboxClock, caplog: pytest.LogCaptureFixture
) -> None:
    schedule = Schedule(clock)
    seen: list[int] = []
    schedule.at(1, lambda: seen.append(1 // 0))
    schedule.at(2, lambda: seen.append(2))
    with caplog.at_level(logging.ERROR):
        clock.advance(3)
    assert seen == [2]
    assert "ZeroDivisionError" in caplog.text


def test_a_timer_may_set_another_that_is_due_at_once(clock: SandboxClock) -> None:
    schedule = Schedule(clock)
    seen: list[float] = []

    def set_another() -> None:
        schedule.at(1, lambda: seen.append(clock.now()))

    schedule.at(5, set_another)
    clock.advance(5)
    assert seen == [5]


@pytest.mark.parametrize("period", [0, -1])
def test_a_period_that_never_advances_is_refused(clock: SandboxClock, period: float) -> None:
    with pytest.raises(ValueError, match="positive"):
        Schedule(clock).every(period, lambda: None)


def test_the_thread_runs_timers_of_a_fast_clock() -> None:
    clock = SandboxClock(rate=100, start=0.0)
    schedule = Schedule(clock)
    done = threading.Event()
    schedule.start()
    schedule.start()
    try:
        schedule.at(clock.now() + 1, done.set)
        assert done.wait(30)
    finally:
        schedule.stop()


def test_the_thread_runs_what_is_asked_for_now_on_a_stepped_clock(clock: SandboxClock) -> None:
    schedule = Schedule(clock)
    done = threading.Event()
    schedule.start()
    try:
        schedule.at(0, done.set)
        assert done.wait(30)
    finally:
        schedule.stop()


def test_a_timer_may_stop_the_schedule_it_runs_in() -> None:
    clock = SandboxClock(rate=0, start=0.0)
    schedule = Schedule(clock)
    done = threading.Event()

    def stop() -> None:
        schedule.stop()
        done.set()

    schedule.start()
    schedule.at(0, stop)
    assert done.wait(30)


def test_it_carries_tens_of_thousands_of_timers(clock: SandboxClock) -> None:
    schedule = Schedule(clock)
    count = 0

    def tick() -> None:
        nonlocal count
        count += 1

    for number in range(20_000):
        schedule.every(300, tick, first=number % 300)
    clock.advance(299.5)
    assert count == 20_000
    assert len(schedule) == 20_000


@given(st.lists(st.floats(min_value=0, max_value=100), max_size=30), st.integers(1, 7))
def test_timers_run_in_order_whatever_the_size_of_the_steps(
    moments: list[float], steps: int
) -> None:
    clock = SandboxClock(rate=0, start=0.0)
    schedule = Schedule(clock)
    seen: list[float] = []
    for moment in moments:
        schedule.at(moment, lambda: seen.append(clock.now()))
    for _ in range(steps):
        clock.advance(101 / steps)
    assert seen == sorted(moments)


def test_a_clock_that_begins_to_run_wakes_the_schedule(clock: SandboxClock) -> None:
    schedule = Schedule(clock)
    ran = threading.Event()
    schedule.at(1000, ran.set)
    schedule.start()
    try:
        assert not ran.wait(0.02)
        clock.set_rate(1e6)
        assert ran.wait(4)
    finally:
        schedule.stop()


def test_callables_take_turns_also_while_a_running_clock_is_advanced() -> None:
    clock = SandboxClock(rate=1000, start=0.0)
    schedule = Schedule(clock)
    lock, overlaps, ran = threading.Lock(), [], threading.Semaphore(0)

    def work() -> None:
        if lock.acquire(blocking=False):
            time.sleep(0.001)
            lock.release()
        else:
            overlaps.append(clock.now())
        ran.release()

    for moment in range(40):
        schedule.at(float(moment), work)
    schedule.start()
    try:
        clock.advance(40)
        assert all(ran.acquire(timeout=5) for _ in range(40))
    finally:
        schedule.stop()
    assert overlaps == []
