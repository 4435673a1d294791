"""What ECS says of services, their tasks and deployments, and of one store as a whole.

Everything here only reads, so everything is retried; a lost reply means nothing but time. What is
not there (any more) is left out, what could not be read is an error or a ``problem``.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from functools import partial
from itertools import islice
from typing import Any, TypeVar

from fleet.aws.observe import clusters
from fleet.aws.service_shapes import (
    revision_of,
    service_deployment_of,
    service_of,
    target_of,
    task_of,
)
from fleet.aws.session import Shard
from fleet.aws.shapes import clean, in_batches, items, refuse_failures
from fleet.errors import AwsError, AwsUnreachable, CredentialsError, Throttled
from fleet.model.aws_actions import (
    DESCRIBE_SERVICE_DEPLOYMENTS,
    DESCRIBE_SERVICE_REVISIONS,
    DESCRIBE_SERVICES,
    DESCRIBE_TASKS,
    LIST_SERVICE_DEPLOYMENTS,
    LIST_SERVICES,
    LIST_TASKS,
    Action,
)
from fleet.model.observed import Cluster, Reading
from fleet.model.services import ServiceDeployment, ServiceState, StoreView, TaskState

#: Most services of one DescribeServices call (ECS API reference).
SERVICES_PER_CALL = 10
#: Most ARNs of one call, and largest page, for service deployments and revisions.
DEPLOYMENTS_PER_CALL = 20
#: Largest page of ListServices and ListTasks, and most ARNs of DescribeTasks.
PAGE = 100
#: Deployment records that are read per service: this one, the one it turned back to, one before.
NEWEST = 3
T = TypeVar("T")


def services(shard: Shard, cluster: str, names: Iterable[str]) -> Reading[tuple[ServiceState, ...]]:
    """The services of these names (or ARNs) that exist; INACTIVE (deleted) ones are among them.

    A call per ten. A cluster that is not there has no services.
    """
    found: list[ServiceState] = []
    times: list[datetime] = []
    for batch in in_batches(dict.fromkeys(names), SERVICES_PER_CALL):
        question = {"cluster": cluster, "services": list(batch), "include": ["TAGS"]}
        reply = _unless_gone(partial(shard.call, DESCRIBE_SERVICES, **question))
        if reply is None:
            break
        times.append(reply.at)
        refuse_failures(reply, DESCRIBE_SERVICES)
        found += [service_of(raw, cluster) for raw in items(reply, "services", DESCRIBE_SERVICES)]
    return Reading(tuple(found), shard.oldest(times))


def services_of_cluster(shard: Shard, cluster: str) -> Reading[tuple[ServiceState, ...]]:
    """Every service of a cluster that is ACTIVE or DRAINING; none without a cluster."""
    listed = _listed(shard, LIST_SERVICES, "serviceArns", cluster=cluster)
    read = services(shard, cluster, listed.value)
    alive = tuple(service for service in read.value if service.status != "INACTIVE")
    return Reading(alive, min(listed.at, read.at) if listed.value else listed.at)


def tasks(
    shard: Shard, cluster: str, service: str | None, *, stopped: bool = True
) -> Reading[tuple[TaskState, ...]]:
    """The tasks of a service (of the whole cluster with None), newest first, stopped ones included.

    ECS forgets stopped tasks after an hour or so. Two calls to list and one per 100 tasks, however
    many services there are, so a store with several is read cheapest as a whole. Tasks of a host
    that is away are as they were last heard of.

    Args:
        stopped: without them it is one call less.
    """
    more = {"serviceName": service} if service else {}
    lists = [
        _listed(shard, LIST_TASKS, "taskArns", cluster=cluster, desiredStatus=wanted, **more)
        for wanted in ("RUNNING", "STOPPED")[: 2 if stopped else 1]
    ]
    times = [listed.at for listed in lists]
    # A task that was told to stop between the two is in both.
    arns = dict.fromkeys(arn for listed in lists for arn in listed.value)
    found: list[TaskState] = []
    for batch in in_batches(arns, PAGE):
        question = {"cluster": cluster, "tasks": list(batch)}
        reply = _unless_gone(partial(shard.call, DESCRIBE_TASKS, **question))
        if reply is None:
            break
        times.append(reply.at)
        refuse_failures(reply, DESCRIBE_TASKS)
        found += map(task_of, items(reply, "tasks", DESCRIBE_TASKS))
    found.sort(key=lambda task: task.created_at.timestamp() if task.created_at else 0.0)
    return Reading(tuple(reversed(found)), shard.oldest(times))


def service_deployments(
    shard: Shard, cluster: str, service: str, newest: int = NEWEST
) -> Reading[tuple[ServiceDeployment, ...]]:
    """ECS's records of the newest deployments of a service, newest first; three calls.

    That ECS keeps them for services on external instances is not documented, so where it refuses
    the feature there are none. Records from before October 2024 have no target.
    """
    times: list[datetime] = []
    raw: list[Mapping[str, Any]] = []
    try:
        listed = _unless_gone(partial(_newest, shard, cluster, service, newest))
        if listed is None:
            return Reading((), shard.oldest(times))
        times.append(listed.at)
        for batch in in_batches(listed.value, DEPLOYMENTS_PER_CALL):
            reply = shard.call(DESCRIBE_SERVICE_DEPLOYMENTS, serviceDeploymentArns=list(batch))
            times.append(reply.at)
            refuse_failures(reply, DESCRIBE_SERVICE_DEPLOYMENTS)
            raw += items(reply, "serviceDeployments", DESCRIBE_SERVICE_DEPLOYMENTS)
        targets = _targets(shard, [target_of(one) for one in raw])
    except AwsError as error:
        if error.code != "UnsupportedFeatureException":
            raise
        return Reading((), shard.oldest(times))
    found = tuple(service_deployment_of(one, targets) for one in raw)
    return Reading(_by_age(found), shard.oldest(times))


def store_view(
    shard: Shard,
    store_id: str,
    cluster: str,
    *,
    services: Sequence[str] | None,
    known: Cluster | None = None,
) -> StoreView:
    """What AWS says of one store's cluster and services, in two calls; the rest is not read.

    Args:
        services: names to look at; None for every service of the cluster.
        known: the cluster where the caller has read it just now, which saves a call: ``clusters``
            reads a hundred at once.

    Returns:
        With ``problem`` set, and everything that was not read None, when AWS refused something
        of this store alone, as a permission or an answer that makes no sense.

    Raises:
        CredentialsError, Throttled: concern the whole account and region.
        AwsUnreachable: AWS gave no answer at all, which does too.
    """
    view = _View(shard, store_id, cluster)
    try:
        view.read(services, known)
    except (CredentialsError, Throttled):
        raise
    except AwsUnreachable as error:
        if not error.code:
            raise
        view.problem = str(error)
    except AwsError as error:
        view.problem = str(error)
    return view.made()


class _View:
    """A ``StoreView`` while it is being read."""

    def __init__(self, shard: Shard, store_id: str, cluster: str) -> None:
        self._shard = shard
        self._store = store_id
        self._name = cluster
        self._times: list[datetime] = []
        self._parts: dict[str, Any] = {}
        self.problem = ""

    def read(self, names: Sequence[str] | None, known: Cluster | None) -> None:
        cluster = known
        if cluster is None:
            cluster = self._take(clusters(self._shard, [self._name])).get(self._name)
        if cluster is None or cluster.status == "INACTIVE":
            self._parts["services"] = ()
            return
        self._parts["cluster"] = cluster
        if names is None:
            seen = self._take(services_of_cluster(self._shard, self._name))
        else:
            seen = self._take(services(self._shard, self._name, names))
        alive = tuple(service for service in seen if service.status != "INACTIVE")
        self._parts["services"] = alive

    def _take(self, reading: Reading[T]) -> T:
        self._times.append(reading.at)
        return reading.value

    def made(self) -> StoreView:
        at = self._shard.oldest(self._times)
        return StoreView(self._store, at, **self._parts, problem=self.problem)


def _newest(shard: Shard, cluster: str, service: str, newest: int) -> Reading[list[str]]:
    """ARNs of the newest deployments; ECS lists them newest first, a page of 20 or less."""
    reply = shard.call(
        LIST_SERVICE_DEPLOYMENTS,
        cluster=cluster,
        service=service,
        maxResults=min(newest, DEPLOYMENTS_PER_CALL),
    )
    listed = items(reply, "serviceDeployments", LIST_SERVICE_DEPLOYMENTS)
    arns = [clean(one.get("serviceDeploymentArn")) for one in islice(listed, newest)]
    return Reading([arn for arn in arns if arn], reply.at)


def _targets(shard: Shard, revisions: Iterable[str]) -> dict[str, str]:
    """Task definition ARNs by ARN of service revision, of those that ECS still describes."""
    found: dict[str, str] = {}
    for batch in in_batches(dict.fromkeys(filter(None, revisions)), DEPLOYMENTS_PER_CALL):
        reply = shard.call(DESCRIBE_SERVICE_REVISIONS, serviceRevisionArns=list(batch))
        for raw in items(reply, "serviceRevisions", DESCRIBE_SERVICE_REVISIONS):
            arn, task_definition = revision_of(raw)
            found[arn] = task_definition
    return found


def _by_age(records: Sequence[ServiceDeployment]) -> tuple[ServiceDeployment, ...]:
    def seconds(record: ServiceDeployment) -> float:
        return record.created_at.timestamp() if record.created_at else 0.0

    return tuple(sorted(records, key=seconds, reverse=True))


def _listed(shard: Shard, action: Action, key: str, **question: Any) -> Reading[list[str]]:
    """Every ARN of a listing; none where the cluster or the service is not there."""
    arns: list[str] = []
    times: list[datetime] = []

    def read() -> None:
        for reply in shard.pages(action, maxResults=PAGE, **question):
            times.append(reply.at)
            arns.extend(items(reply, key, action))

    _unless_gone(read)
    return Reading(arns, shard.oldest(times))


def _unless_gone(ask: Callable[[], T]) -> T | None:
    """The answer, or None when the cluster or the service is not there."""
    try:
        return ask()
    except AwsError as error:
        if error.code not in {"ClusterNotFoundException", "ServiceNotFoundException"}:
            raise
        return None
