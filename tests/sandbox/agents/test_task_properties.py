"""Whatever happens on the way, AWS ends up knowing what is true of each task."""

import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from fleet.sandbox.agents.session import AwsFault, LinkDown
from tests.sandbox.agents.acs_rig import BAD, GOOD, AcsRig, container, task, task_arn

NAMES = ("t1", "t2", "t3")

steps = st.one_of(
    st.tuples(st.just("run"), st.sampled_from(NAMES), st.sampled_from([GOOD, BAD])),
    st.tuples(st.just("stop"), st.sampled_from(NAMES)),
    st.tuples(st.just("wait"), st.integers(1, 400)),
    st.tuples(st.sampled_from(["cut", "restore", "reboot", "restart", "again", "fail"])),
)


def act(acs: AcsRig, step: tuple[str, ...]) -> None:
    match step:
        case ("run", name, image) if acs.aws.deliver is not None:
            acs.payload(task(name, container(image)))
        case ("stop", name) if acs.aws.deliver is not None and acs.knows(name):
            acs.stop(name)
        case ("wait", seconds):
            acs.clock.advance(float(seconds))
        case ("cut",):
            acs.host.set_conditions({"cut_by": ["store"]})
        case ("restore",):
            acs.host.set_conditions({"cut_by": []})
        case ("reboot",):
            acs.host.reboot()
        case ("restart",):
            acs.host.ecs_agent.stop()
            acs.host.ecs_agent.start()
        case ("again",):
            acs.again()
        case ("fail",):
            acs.aws.failures += [AwsFault("ServerException", "no", 500), LinkDown("lost")]


@given(st.lists(steps, max_size=14))
@settings(max_examples=60, deadline=None)
def test_aws_is_told_what_became_of_every_task_in_order_and_not_twice(
    moves: list[tuple[str, ...]],
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        acs = AcsRig(Path(folder))
        acs.images.tell({BAD: {"run": "crash", "after_s": 50}})
        for move in moves:
            act(acs, move)
        acs.host.set_conditions({"cut_by": []})
        acs.clock.advance(2000)
        running = {
            c.labels["com.amazonaws.ecs.task-arn"] for c in acs.host.containers.all(running=True)
        }
        known = {t.arn: t.status for t in acs.host.ecs_agent.tasks.tasks()}
        for name in NAMES:
            told = acs.statuses(name)
            final = known.get(task_arn(name))
            assert (final == "RUNNING") == (task_arn(name) in running)
            if final is not None:
                assert told[-1] == final
                assert told in (["RUNNING"], ["STOPPED"], ["RUNNING", "STOPPED"])
