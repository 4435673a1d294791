"""What a run came to as an exit code, and what is said when it came to nothing."""

import pytest

from fleet.cli.register import exit_code, nothing_done
from fleet.model.registration import (
    ActivationCount,
    Classification,
    HostClass,
    HostOutcome,
    HostRegistration,
    HostResult,
    RegisterResult,
)
from tests import build

GOOD = (HostOutcome.REGISTERED, HostOutcome.ALREADY, HostOutcome.REPAIRED)


def result(*outcomes: HostOutcome, stopped: bool = False) -> RegisterResult:
    plan = HostRegistration(build.host(), Classification(HostClass.FRESH, "x"))
    hosts = tuple(HostResult(plan, outcome, "because") for outcome in outcomes)
    return RegisterResult("reg-1", (build.store(),), hosts, ActivationCount(), stopped=stopped)


@pytest.mark.parametrize("stopped", [False, True])
def test_all_healthy_is_0_even_if_somebody_asked_to_stop(stopped: bool) -> None:
    assert exit_code(result(*GOOD, stopped=stopped)) == 0


def test_stopped_with_something_left_to_do_is_130() -> None:
    assert exit_code(result(HostOutcome.ALREADY, HostOutcome.STOPPED, stopped=True)) == 130


def test_only_other_runs_in_the_way_is_5() -> None:
    assert exit_code(result(HostOutcome.ALREADY, HostOutcome.LOCKED)) == 5


@pytest.mark.parametrize(
    "worse", [HostOutcome.FAILED, HostOutcome.REFUSED, HostOutcome.NOT_VERIFIED]
)
def test_anything_worse_beside_a_locked_host_is_1(worse: HostOutcome) -> None:
    assert exit_code(result(HostOutcome.LOCKED, worse)) == 1


@pytest.mark.parametrize(
    ("pinned", "said"),
    [
        ([], "nothing was done"),
        (["a/b"], "no host was changed; 1 host key was pinned"),
        (["a/b", "a/c"], "no host was changed; 2 host keys were pinned"),
    ],
)
def test_keys_that_were_pinned_are_not_called_nothing(pinned: list[str], said: str) -> None:
    assert nothing_done(pinned) == said
