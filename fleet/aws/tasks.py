"""Reads ECS tasks."""

from collections.abc import Mapping
from functools import partial
from typing import Any

from fleet.aws.interning import Interner
from fleet.aws.replies import clean, none_if_gone, part_of, read_batches, read_pages, utc
from fleet.aws.session import Shard
from fleet.model.aws_actions import DESCRIBE_TASKS, LIST_TASKS
from fleet.model.observed import Reading
from fleet.model.services import ContainerState, TaskState

#: Largest page of ListTasks, and most ARNs of one DescribeTasks call (ECS API reference).
PAGE = 100


def read_tasks(
    shard: Shard, cluster: str, service: str | None, *, stopped: bool = True
) -> Reading[tuple[TaskState, ...]]:
    """Return the tasks of a service, newest first; those of the whole cluster with None.

    ECS forgets stopped tasks after an hour or so. Two calls to list and one per 100 tasks, however
    many services there are, so a store with several is read cheapest as a whole. Tasks of a host
    that is away are as they were last heard of. There are none where cluster or service is gone.

    Args:
        stopped: whether to read stopped ones too; without them it is one call less.
    """
    more = {"serviceName": service} if service else {}
    lists = [
        none_if_gone(
            shard,
            partial(
                read_pages,
                shard,
                LIST_TASKS,
                cluster=cluster,
                desiredStatus=status,
                maxResults=PAGE,
                **more,
            ),
        )
        for status in ("RUNNING", "STOPPED")[: 2 if stopped else 1]
    ]
    # A task that ECS begins to stop between the two is in both.
    arns = dict.fromkeys(arn for listed in lists for arn in listed.value)
    described = none_if_gone(
        shard, lambda: read_batches(shard, DESCRIBE_TASKS, "tasks", arns, PAGE, cluster=cluster)
    )
    found = sorted(
        map(task_of, described.value),
        key=lambda task: task.created_at.timestamp() if task.created_at else 0.0,
    )
    return Reading(tuple(reversed(found)), min(read.at for read in (*lists, described)))


def scan_tasks(
    shard: Shard, cluster: str, *, stopped: bool, interner: Interner
) -> Reading[tuple[TaskState, ...]]:
    """Return the tasks of a cluster, with equal parts kept once; see ``read_tasks``."""
    read = read_tasks(shard, cluster, None, stopped=stopped)
    return Reading(tuple(map(interner.task, read.value)), read.at)


@part_of(DESCRIBE_TASKS)
def task_of(raw: Mapping[str, Any]) -> TaskState:
    """Parse one of DescribeTasks' ``tasks``; ``service`` is "" where no service started it."""
    kind, _, service = clean(raw.get("group")).partition(":")
    return TaskState(
        arn=clean(raw["taskArn"]),
        service=service if kind == "service" else "",
        container_instance_arn=clean(raw.get("containerInstanceArn")),
        task_definition=clean(raw["taskDefinitionArn"]),
        last_status=clean(raw["lastStatus"]),
        desired_status=clean(raw["desiredStatus"]),
        health=clean(raw.get("healthStatus") or "UNKNOWN"),
        created_at=utc(raw.get("createdAt")),
        started_at=utc(raw.get("startedAt")),
        stopped_at=utc(raw.get("stoppedAt")),
        stop_code=clean(raw.get("stopCode")),
        stopped_reason=clean(raw.get("stoppedReason")),
        containers=tuple(_container(one) for one in raw.get("containers") or ()),
        stopping_at=utc(raw.get("stoppingAt")),
    )


def _container(raw: Mapping[str, Any]) -> ContainerState:
    exit_code = raw.get("exitCode")
    return ContainerState(
        name=clean(raw["name"]),
        status=clean(raw.get("lastStatus")),
        exit_code=None if exit_code is None else int(exit_code),
        reason=clean(raw.get("reason")),
        image_digest=clean(raw.get("imageDigest")),
        health=clean(raw.get("healthStatus") or "UNKNOWN"),
        image=clean(raw.get("image")),
    )
