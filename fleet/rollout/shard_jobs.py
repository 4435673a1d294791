"""Reads the stores and writes the services of one account and region for a tick.

A job takes and returns plain values, so that it can run in a thread or on a Dask worker. It may run
twice, when a worker is lost: every write reads the service first and does nothing where its work is
done.
"""

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import CancelledError, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, TypeVar

from fleet.aws.cloudwatch import describe_alarms, get_metric_series, get_metric_values
from fleet.aws.container_instances import read_container_instances
from fleet.aws.log_groups import create_log_group, describe_log_groups
from fleet.aws.service_deployments import read_service_deployments
from fleet.aws.services import create_service, delete_service, describe_services, update_service
from fleet.aws.session import Shard
from fleet.aws.store_view import read_store
from fleet.aws.task_definitions import Registered, register_task_definition
from fleet.aws.tasks import read_tasks
from fleet.errors import AccessDenied, AwsError, AwsUnreachable, CredentialsError, Throttled
from fleet.model.desired import LogGroup, TaskDefinition
from fleet.model.identity import TAG_PREVIOUS, TAG_SENT
from fleet.model.inventory import Account
from fleet.model.observed import Cluster
from fleet.model.rollout import ActionKind
from fleet.model.services import StoreView, TaskState
from fleet.model.signals import SignalsRead, SignalsSeen
from fleet.rollout.decide.service_calls import (
    CallOutcome,
    CallResult,
    Create,
    Delete,
    ServiceWrite,
    Update,
    choose_call,
)
from fleet.rollout.decide.store_choice import StoreRead, is_quiet
from fleet.runtime.aws_access import OpenShardAccess

#: Calls of one job that are under way at once; the call budget decides how many a second.
THREADS = 8
T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class ShardJob:
    """Holds the reads and writes for one account and region.

    Attributes:
        definitions: task definitions that the writes need, by content.
        known: ARNs of those that are registered there, by content.
        log_groups: that must exist before something new is registered.
        tags: of what is made beside services.
        budget: state of the shard's call budget, as the last holder of its lease left it.
        signals: alarms and metrics to read.
    """

    account: Account
    region: str
    reads: tuple[StoreRead, ...] = ()
    writes: tuple[ServiceWrite, ...] = ()
    definitions: Mapping[str, TaskDefinition] = field(default_factory=dict)
    known: Mapping[str, str] = field(default_factory=dict)
    log_groups: tuple[LogGroup, ...] = ()
    tags: Mapping[str, str] = field(default_factory=dict)
    budget: Mapping[str, Any] = field(default_factory=dict)
    signals: SignalsRead = field(default_factory=SignalsRead)


@dataclass(frozen=True, slots=True)
class ShardResult:
    """Holds the result of a job.

    Attributes:
        registered: ARNs of task definitions that were found or made, by content.
        trouble: why the account and region could not be worked with at all, as expired
            credentials; "" when they could.
        hint: what to do about it.
        signals: what was read of alarms and metrics; says itself what could not be read.
    """

    account: str
    region: str
    views: Mapping[str, StoreView]
    written: tuple[CallResult, ...]
    registered: Mapping[str, str]
    budget: Mapping[str, Any]
    trouble: str = ""
    hint: str = ""
    signals: SignalsSeen = field(default_factory=SignalsSeen)


def run_shard_job(open_access: OpenShardAccess, job: ShardJob) -> ShardResult:
    """Do a job as far as possible. Errors of AWS are in ``trouble`` and in the results."""
    access = open_access()
    access.restore(job.account, job.region, job.budget)
    shard = access.shard(job.account, job.region)
    views: dict[str, StoreView] = {}
    written: list[CallResult] = []
    registered = dict(job.known)
    trouble = hint = ""
    try:
        for view in _side_by_side(lambda read: _read(shard, read), job.reads):
            views[view.store] = view
        refused = _prepare(shard, job, registered)
        now = access.clock.now()
        able = [w for w in job.writes if w.kind is ActionKind.UNDO or w.content not in refused]
        written.extend(_rejected(w, refused[w.content], now) for w in job.writes if w not in able)
        written.extend(_side_by_side(lambda one: _write(shard, one, registered, now), able))
    except AwsError as error:
        trouble, hint = str(error), error.hint or ""
    signals = _read_signals(shard, job.signals)
    return ShardResult(
        account=job.account.name,
        region=job.region,
        views=views,
        written=tuple(written),
        registered=registered,
        budget=access.budget(job.account, job.region),
        trouble=trouble,
        hint=hint,
        signals=signals,
    )


def _read_signals(shard: Shard, asked: SignalsRead) -> SignalsSeen:
    """Read alarms and metrics; what is refused stops no other work of the job."""
    seen = SignalsSeen()
    try:
        seen = replace(seen, alarms=describe_alarms(shard, asked.alarms).value)
    except AwsError as error:
        seen = replace(seen, alarms_unread=str(error))
    try:
        seen = replace(seen, metrics=get_metric_values(shard, asked.metrics).value)
    except AwsError as error:
        seen = replace(seen, metrics_unread=str(error))
    if asked.series_end is None:
        return seen
    try:
        series = get_metric_series(shard, asked.series, asked.series_end).value
        return replace(seen, series=series)
    except AwsError as error:
        return replace(seen, series_unread=str(error))


def _side_by_side(do: Callable[[T], R], items: Iterable[T]) -> Iterable[R]:
    """Yield results in order, and raise the first error after the results before it."""
    todo = list(items)
    if not todo:
        return
    with ThreadPoolExecutor(min(THREADS, len(todo)), thread_name_prefix="shard") as threads:
        futures = [threads.submit(do, item) for item in todo]
        failed: AwsError | None = None
        for future in futures:
            try:
                yield future.result()
            except CancelledError:
                continue
            except AwsError as error:
                failed = failed or error
                for waiting in futures:
                    waiting.cancel()
        if failed is not None:
            raise failed


def _read(shard: Shard, read: StoreRead) -> StoreView:
    """Read a store's services and container instances, and its tasks where they are asked for."""
    if not read.services:
        return _read_instances(shard, read)
    # The cluster is known to exist: naming it saves a call per store and tick.
    cluster = Cluster(read.cluster, "", "ACTIVE", 0)
    view = read_store(shard, read.store, read.cluster, services=read.services, known=cluster)
    if view.problem:
        return view
    try:
        instances = read_container_instances(shard, read.cluster, read.instances)
        view = replace(view, instances=instances.value, at=min(view.at, instances.at))
        return _with_tasks(shard, read, view) if read.tasks else view
    except (AccessDenied, CredentialsError, Throttled):
        raise
    except AwsError as error:
        if isinstance(error, AwsUnreachable) and not error.code:
            raise
        return replace(view, problem=str(error))


def _read_instances(shard: Shard, read: StoreRead) -> StoreView:
    """Read only whether the hosts of a store are connected, which a survey asks: one call."""
    try:
        instances = read_container_instances(shard, read.cluster, read.instances)
    except (AccessDenied, CredentialsError, Throttled):
        raise
    except AwsError as error:
        if isinstance(error, AwsUnreachable) and not error.code:
            raise
        # It is asked again; nothing else waits for it.
        return StoreView(read.store, shard.clock.now())
    return StoreView(read.store, instances.at, instances=instances.value)


def _with_tasks(shard: Shard, read: StoreRead, view: StoreView) -> StoreView:
    """Read running tasks; stopped ones and deployment records only where something is wrong."""
    one = read.services[0] if len(read.services) == 1 else None
    seen = read_tasks(shard, read.cluster, one, stopped=False)
    view = replace(view, at=min(view.at, seen.at), tasks=_of(read, seen.value), deployments={})
    if not read.records and is_quiet(view, read.targets):
        return view
    seen = read_tasks(shard, read.cluster, one)
    view = replace(view, at=min(view.at, seen.at), tasks=_of(read, seen.value))
    names = [s.name for s in view.services or () if s.name in read.services]
    records = {name: read_service_deployments(shard, read.cluster, name).value for name in names}
    return replace(view, deployments=records)


def _of(read: StoreRead, tasks: Iterable[TaskState]) -> tuple[TaskState, ...]:
    return tuple(task for task in tasks if task.service in read.services)


def _prepare(shard: Shard, job: ShardJob, registered: dict[str, str]) -> dict[str, str]:
    """Find or register the task definitions that writes need, and their log groups before.

    Returns:
        Why ECS would not have some, by content; the others are in ``registered``.

    Raises:
        AwsError: that says nothing about a task definition, as a throttle or missing rights.
    """
    wanted = {w.content for w in job.writes if w.kind is ActionKind.SEND}
    missing = sorted(wanted - registered.keys())
    refused: dict[str, str] = {}
    if not missing:
        return refused
    there = describe_log_groups(shard, [group.name for group in job.log_groups]).value
    for group in job.log_groups:
        if group.name not in there:
            create_log_group(shard, group, job.tags)
    # One after another: at one registration a second, threads would only wait.
    seen: dict[str, Registered] = {}
    for content in missing:
        try:
            registered[content] = register_task_definition(
                shard, job.definitions[content], job.tags, seen=seen
            )
        except (AccessDenied, CredentialsError, Throttled, AwsUnreachable):
            raise
        except AwsError as error:
            refused[content] = str(error)
    return refused


def _rejected(write: ServiceWrite, why: str, now: datetime) -> CallResult:
    return CallResult(write.kind, write.store, write.service, CallOutcome.REJECTED, now, words=why)


def _write(
    shard: Shard, write: ServiceWrite, registered: Mapping[str, str], now: datetime
) -> CallResult:
    target = registered.get(write.content) or write.target
    runs = ""
    try:
        found = describe_services(shard, write.cluster, [write.service])
        alive = [s for s in found.value if s.status != "INACTIVE"]
        choice = choose_call(write, alive[0] if alive else None, target)
        at = _call(shard, write, choice.call, target) or choice.at or found.at
        outcome, words, runs = choice.outcome, choice.reason, choice.runs
    except (AccessDenied, CredentialsError):
        raise
    except AwsError as error:
        lost = isinstance(error, AwsUnreachable | Throttled)
        outcome, at, words = (CallOutcome.LOST if lost else CallOutcome.REFUSED), now, str(error)
    return CallResult(write.kind, write.store, write.service, outcome, at, target, words, runs)


def _call(
    shard: Shard, write: ServiceWrite, call: Create | Update | Delete | None, target: str
) -> datetime | None:
    """Make a call; returns AWS's time of the reply where it has one."""
    match call:
        case None:
            return None
        case Create():
            request = {**write.request, "taskDefinition": target}
            tags = {**write.tags, TAG_SENT: call.sent}
            return create_service(shard, request, tags, token=write.token).at
        case Update():
            sent = {TAG_SENT: call.sent} if call.sent else {}
            return update_service(
                shard,
                call.service,
                task_definition=call.task_definition,
                tags={**write.tags, TAG_PREVIOUS: call.previous, **sent},
                desired_count=call.count,
                settings=call.settings,
            ).at
        case Delete():
            delete_service(shard, write.cluster, write.service, force=True)
            return None
