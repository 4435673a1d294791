"""AWS's replies as values of the model. A reply that lacks what it must have is an error.

Texts that hosts report about themselves are made printable; a shop host must not be able to write
to the operator's screen by way of AWS.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from functools import wraps
from itertools import islice
from typing import Any, ParamSpec, TypeVar

from fleet.aws.calls import Reply
from fleet.errors import AwsError, AwsUnreachable
from fleet.model.aws_actions import (
    CREATE_ACTIVATION,
    CREATE_CLUSTER,
    DESCRIBE_ACTIVATIONS,
    DESCRIBE_CLUSTERS,
    DESCRIBE_CONTAINER_INSTANCES,
    DESCRIBE_INSTANCE_INFORMATION,
    GET_CALLER_IDENTITY,
    GET_SERVICE_SETTING,
    Action,
)
from fleet.model.observed import (
    Activation,
    Caller,
    Cluster,
    ContainerInstance,
    ManagedInstance,
    Ping,
)
from fleet.model.printable import printable
from fleet.model.secret import Secret

P = ParamSpec("P")
T = TypeVar("T")


def part_of(action: Action) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """Turn a missing or malformed field into an error that names the action and the field."""

    def decorate(parse: Callable[P, T]) -> Callable[P, T]:
        @wraps(parse)
        def parsed(*args: P.args, **kwargs: P.kwargs) -> T:
            try:
                return parse(*args, **kwargs)
            except KeyError as error:
                raise unreadable(action, f"{error.args[0]} is missing") from None
            except (AttributeError, TypeError, ValueError):
                raise unreadable(action, "a value is of another kind than documented") from None

        return parsed

    return decorate


def unreadable(action: Action, what: str) -> AwsError:
    """The error of an answer that is not what AWS documents."""
    return AwsError(f"{action.id}: AWS's answer makes no sense: {what}", operation=action.id)


def in_batches(values: Iterable[T], size: int) -> Iterator[tuple[T, ...]]:
    """The values in order, at most ``size`` at a time, as AWS limits a call."""
    rest = iter(values)
    while batch := tuple(islice(rest, size)):
        yield batch


def items(reply: Reply, key: str, action: Action) -> list[Any]:
    """The list ``key`` of a reply, which must be there; an empty reply is no empty answer."""
    found = reply.body.get(key)
    if not isinstance(found, list):
        raise unreadable(action, f"{key} is missing")
    return found


def refuse_failures(reply: Reply, action: Action) -> None:
    """Let failures pass that say MISSING; any other means that the answer is not whole."""
    for failure in reply.body.get("failures") or ():
        reason = clean(failure.get("reason"))
        if reason != "MISSING":
            arn = clean(failure.get("arn"))
            raise AwsError(f"{action.id}: {arn}: {reason}", operation=action.id, code=reason)


def clean(value: Any) -> str:
    """A text of AWS's without anything that a terminal would obey; "" for None."""
    text = "" if value is None else str(value)
    return text if text.isprintable() else printable(text)


@part_of(GET_CALLER_IDENTITY)
def caller_of(body: Mapping[str, Any]) -> Caller:
    """Who STS says we are."""
    return Caller(clean(body["Account"]), clean(body["Arn"]))


@part_of(GET_SERVICE_SETTING)
def tier_of(body: Mapping[str, Any]) -> str:
    """``standard`` or ``advanced``."""
    return clean(body["ServiceSetting"]["SettingValue"])


def tags_of(raw: Iterable[Mapping[str, str]] | None) -> dict[str, str]:
    """Tags as a mapping; SSM spells the keys ``Key`` and ``Value``, ECS ``key`` and ``value``."""
    lowered = ({name.lower(): value for name, value in tag.items()} for tag in raw or ())
    return {tag["key"]: tag.get("value", "") for tag in lowered if "key" in tag}


@part_of(DESCRIBE_CLUSTERS)
def cluster_of(raw: Mapping[str, Any]) -> Cluster:
    """One of DescribeClusters' ``clusters``, or CreateCluster's ``cluster``."""
    return Cluster(
        name=clean(raw["clusterName"]),
        arn=clean(raw["clusterArn"]),
        status=clean(raw["status"]),
        container_instances=int(raw.get("registeredContainerInstancesCount", 0)),
        running_tasks=int(raw.get("runningTasksCount", 0)),
        tags=tags_of(raw.get("tags")),
        services=int(raw.get("activeServicesCount", 0)),
    )


@part_of(CREATE_CLUSTER)
def created_cluster_of(body: Mapping[str, Any]) -> Cluster:
    """What CreateCluster made or found."""
    return cluster_of(body["cluster"])


@part_of(DESCRIBE_CONTAINER_INSTANCES)
def container_instance_of(raw: Mapping[str, Any], cluster: str) -> ContainerInstance:
    """One of DescribeContainerInstances' ``containerInstances``."""
    versions = raw.get("versionInfo") or {}
    return ContainerInstance(
        arn=clean(raw["containerInstanceArn"]),
        cluster=cluster,
        managed_instance_id=clean(raw.get("ec2InstanceId")),
        status=clean(raw["status"]),
        agent_connected=bool(raw.get("agentConnected", False)),
        registered_at=utc(raw.get("registeredAt")),
        agent_version=clean(versions.get("agentVersion")),
        docker_version=clean(versions.get("dockerVersion")).removeprefix("DockerVersion: "),
        running_tasks=int(raw.get("runningTasksCount", 0)),
        pending_tasks=int(raw.get("pendingTasksCount", 0)),
        attributes={
            clean(attribute["name"]): clean(attribute.get("value"))
            for attribute in raw.get("attributes") or ()
        },
        tags=tags_of(raw.get("tags")),
        version=int(raw.get("version", 0)),
        registered=_whole(raw.get("registeredResources")),
        remaining=_whole(raw.get("remainingResources")),
    )


def _whole(resources: Iterable[Mapping[str, Any]] | None) -> dict[str, int]:
    """CPU and MEMORY of a container instance; ports and the like are no whole numbers."""
    return {
        clean(resource["name"]): int(resource.get("integerValue", 0))
        for resource in resources or ()
        if resource.get("type") == "INTEGER"
    }


@part_of(DESCRIBE_INSTANCE_INFORMATION)
def managed_instance_of(raw: Mapping[str, Any]) -> ManagedInstance:
    """One of DescribeInstanceInformation's ``InstanceInformationList``."""
    return ManagedInstance(
        id=clean(raw["InstanceId"]),
        name=clean(raw.get("Name")),
        ping=Ping(raw["PingStatus"]),
        last_ping_at=utc(raw.get("LastPingDateTime")),
        activation_id=clean(raw.get("ActivationId")),
        agent_version=clean(raw.get("AgentVersion")),
        computer_name=clean(raw.get("ComputerName")),
        registered_at=utc(raw.get("RegistrationDate")),
    )


@part_of(DESCRIBE_ACTIVATIONS)
def activation_of(raw: Mapping[str, Any]) -> Activation:
    """One of DescribeActivations' ``ActivationList``."""
    expires_at = utc(raw["ExpirationDate"])
    if expires_at is None:
        raise KeyError("ExpirationDate")
    return Activation(
        id=clean(raw["ActivationId"]),
        name=clean(raw.get("DefaultInstanceName")),
        limit=int(raw.get("RegistrationLimit", 1)),
        count=int(raw.get("RegistrationsCount", 0)),
        expires_at=expires_at,
        tags=tags_of(raw.get("Tags")),
        created_at=utc(raw.get("CreatedDate")),
    )


def activation_code_of(body: Mapping[str, Any]) -> tuple[str, Secret]:
    """Id and code of a new activation.

    Raises:
        AwsUnreachable: the answer lacks them, so that an activation may exist whose code is lost.
    """
    id_, code = body.get("ActivationId"), body.get("ActivationCode")
    if not (isinstance(id_, str) and isinstance(code, str) and id_ and code):
        raise AwsUnreachable(
            f"{CREATE_ACTIVATION.id}: AWS's answer makes no sense; whether AWS acted is unknown",
            operation=CREATE_ACTIVATION.id,
            hint="it was not sent again; run the same command, which looks first",
        )
    return clean(id_), Secret(code)


def utc(value: datetime | None) -> datetime | None:
    """A time of AWS's in UTC; None where it said none."""
    return None if value is None else value.astimezone(UTC)


def ecs_tags(tags: Mapping[str, str]) -> list[dict[str, str]]:
    """Tags as ECS takes them."""
    return [{"key": key, "value": value} for key, value in tags.items()]
