from hypothesis import given
from hypothesis import strategies as st

from fleet.sandbox.control_plane.rolling_update import (
    Limits,
    ServiceStanding,
    Step,
    daemon_step,
    replica_step,
)

HOSTS = [f"host-{number}" for number in range(6)]


@st.composite
def crowds(draw: st.DrawFn) -> list[ServiceStanding]:
    count = draw(st.integers(0, 12))
    return [
        ServiceStanding(
            f"task-{number:02}",
            kept=draw(st.booleans()),
            healthy=draw(st.booleans()),
            stopping=draw(st.booleans()),
            instance=draw(st.sampled_from(HOSTS)),
        )
        for number in range(count)
    ]


limits = st.builds(Limits.of, st.integers(0, 10), st.integers(0, 100), st.integers(100, 200))


def healthy_after(tasks: list[ServiceStanding], step: Step) -> int:
    gone = {*step.surplus, *step.replaced}
    return sum(t.healthy and not t.stopping and t.id not in gone for t in tasks)


@given(crowds(), limits)
def test_never_more_tasks_than_the_maximum_percent(
    tasks: list[ServiceStanding], limit: Limits
) -> None:
    step = replica_step(tasks, limit)
    assert step.start == 0 or len(tasks) + step.start <= limit.upper


@given(crowds(), limits)
def test_never_fewer_healthy_tasks_than_the_minimum_percent_for_a_replacement(
    tasks: list[ServiceStanding], limit: Limits
) -> None:
    step = replica_step(tasks, limit)
    before = sum(task.healthy and not task.stopping for task in tasks)
    surplus = sum(task.healthy for task in tasks if task.id in step.surplus)
    assert healthy_after(tasks, step) >= min(limit.lower, before - surplus)


@given(crowds(), limits)
def test_a_kept_task_stops_only_when_there_are_too_many(
    tasks: list[ServiceStanding], limit: Limits
) -> None:
    step = replica_step(tasks, limit)
    kept = {task.id for task in tasks if task.kept and not task.stopping}
    assert not kept & set(step.replaced)
    assert len(set(step.surplus)) == max(0, len(kept) - limit.desired)


@given(crowds(), limits)
def test_what_is_stopping_is_not_told_again(tasks: list[ServiceStanding], limit: Limits) -> None:
    step = replica_step(tasks, limit)
    stopping = {task.id for task in tasks if task.stopping}
    assert not stopping & {*step.surplus, *step.replaced}


@given(st.integers(0, 10), st.integers(0, 99), st.integers(101, 200))
def test_a_deployment_with_working_tasks_ends(desired: int, lower: int, upper: int) -> None:
    limit = Limits.of(desired, lower, upper)
    tasks = [
        ServiceStanding(f"old-{n}", kept=False, healthy=True, stopping=False)
        for n in range(desired)
    ]
    made = 0
    for _ in range(50):
        step = replica_step(tasks, limit)
        gone = {*step.surplus, *step.replaced}
        tasks = [task for task in tasks if task.id not in gone]
        for _ in range(step.start):
            made += 1
            tasks.append(ServiceStanding(f"new-{made}", kept=True, healthy=True, stopping=False))
    can = limit.upper > desired or limit.lower < desired
    assert not can or [task.kept for task in tasks] == [True] * desired


@given(crowds(), st.lists(st.sampled_from(HOSTS), unique=True), st.integers(0, 99))
def test_a_daemon_starts_on_empty_matching_instances_only(
    tasks: list[ServiceStanding], matching: list[str], lower: int
) -> None:
    step, free = daemon_step(tasks, matching, Limits.of(len(matching), lower, 100))
    taken = {task.instance for task in tasks}
    assert set(free) == set(matching) - taken
    assert step.start == len(free)


@given(crowds(), st.lists(st.sampled_from(HOSTS), unique=True), st.integers(0, 99))
def test_a_daemon_keeps_one_task_an_instance_and_none_elsewhere(
    tasks: list[ServiceStanding], matching: list[str], lower: int
) -> None:
    step, _ = daemon_step(tasks, matching, Limits.of(len(matching), lower, 100))
    gone = {*step.surplus, *step.replaced}
    left = [task for task in tasks if not task.stopping and task.id not in gone]
    kept = [task.instance for task in left if task.kept]
    assert len(set(kept)) == len(kept)
    assert {task.instance for task in left} <= set(matching)
