"""What the control plane remembers, for each account and region apart.

Entities hold JSON values only: each is kept as one row, written whole when it changes.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar

Attributes = dict[str, str | None]
_CUSTOM_PREFIXES = ("ecs.", "com.amazonaws.ecs.")
_REGION = re.compile(r"[a-z]{2,3}(-[a-z]+){1,2}-[0-9]{1,2}")


@dataclass(slots=True)
class Cluster:
    """An ECS cluster; INACTIVE after it was deleted, and then its name is free again."""

    KIND: ClassVar[str] = "cluster"
    account: str
    region: str
    name: str
    status: str = "ACTIVE"
    tags: dict[str, str] = field(default_factory=dict)
    settings: list[dict[str, str]] = field(default_factory=list)
    configuration: dict[str, Any] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """Unique in its realm."""
        return self.name

    @property
    def arn(self) -> str:
        """Amazon resource name."""
        return f"{arn_prefix('ecs', self.account, self.region)}:cluster/{self.name}"


@dataclass(slots=True)
class ContainerInstance:
    """A registered host as ECS knows it.

    Attributes:
        id: 32 hex digits.
        managed_instance_id: the node whose credentials registered it; AWS shows it as
            ``ec2InstanceId``. Several instances may carry the same one.
        status: ACTIVE, DRAINING or INACTIVE.
        attributes: name to value; None where an attribute has no value.
        resources: as registered, in wire form.
        client_token: of the registration; the same token again is the same registration.
        version: goes up with every change.
        timeline: last sequence number that was used towards this agent.
        ever_connected: whether an agent was heard at all.
    """

    KIND: ClassVar[str] = "container_instance"
    account: str
    region: str
    id: str
    cluster: str
    managed_instance_id: str
    registered_at: float
    status: str = "ACTIVE"
    attributes: Attributes = field(default_factory=dict)
    resources: list[dict[str, Any]] = field(default_factory=list)
    tags: dict[str, str] = field(default_factory=dict)
    client_token: str = ""
    version: int = 1
    timeline: int = 0
    agent_version: str = ""
    docker_version: str = ""
    ever_connected: bool = False

    @property
    def key(self) -> str:
        """Unique in its realm."""
        return self.id

    @property
    def arn(self) -> str:
        """Amazon resource name, in the long form."""
        prefix = arn_prefix("ecs", self.account, self.region)
        return f"{prefix}:container-instance/{self.cluster}/{self.id}"


@dataclass(slots=True)
class Activation:
    """An SSM activation; of its code only a salted hash is known."""

    KIND: ClassVar[str] = "activation"
    account: str
    region: str
    id: str
    code_salt: str
    code_hash: str
    iam_role: str
    limit: int
    created_at: float
    expires_at: float
    count: int = 0
    name: str = ""
    description: str = ""
    tags: dict[str, str] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """Unique in its realm."""
        return self.id


@dataclass(slots=True)
class ManagedInstance:
    """A node in SSM.

    Attributes:
        id: ``mi-`` and 17 hex digits.
        fingerprint: of the hardware; a token is given to the same machine only.
        information: what the last full ping said, in wire form.
        last_ping_at: epoch seconds, or None before the first.
    """

    KIND: ClassVar[str] = "managed_instance"
    account: str
    region: str
    id: str
    activation_id: str
    iam_role: str
    registered_at: float
    fingerprint: str
    public_key: str
    name: str = ""
    information: dict[str, str] = field(default_factory=dict)
    last_ping_at: float | None = None
    tags: dict[str, str] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """Unique in its realm."""
        return self.id


@dataclass(slots=True)
class ServiceSetting:
    """A setting of SSM that was changed from its default."""

    KIND: ClassVar[str] = "service_setting"
    account: str
    region: str
    id: str
    value: str
    changed_at: float
    changed_by: str

    @property
    def key(self) -> str:
        """Unique in its realm."""
        return self.id


@dataclass(slots=True)
class RoleSession:
    """Temporary credentials, known by their access key alone; the secret parts are never kept.

    Attributes:
        managed_instance_id: of the node that holds them, or "" for a person's assumed role.
    """

    KIND: ClassVar[str] = "role_session"
    account: str
    region: str
    access_key: str
    arn: str
    expires_at: float
    managed_instance_id: str = ""

    @property
    def key(self) -> str:
        """Unique in its realm."""
        return self.access_key


Entity = Cluster | ContainerInstance | Activation | ManagedInstance | ServiceSetting | RoleSession
KINDS: Mapping[str, type[Entity]] = {
    kind.KIND: kind
    for kind in (
        Cluster,
        ContainerInstance,
        Activation,
        ManagedInstance,
        ServiceSetting,
        RoleSession,
    )
}
_FIELDS: Mapping[str, tuple[str, ...]] = {
    name: tuple(part.name for part in fields(kind)) for name, kind in KINDS.items()
}


def to_row(entity: Entity) -> dict[str, Any]:
    """The JSON object an entity is kept as."""
    return {name: getattr(entity, name) for name in _FIELDS[entity.KIND]}


class Realm:
    """Everything of one account in one region.

    Attributes:
        instances_of: the container instances of each cluster name, INACTIVE ones included.
    """

    def __init__(self, account: str, region: str) -> None:
        self.account = account
        self.region = region
        self.clusters: dict[str, Cluster] = {}
        self.instances: dict[str, ContainerInstance] = {}
        self.instances_of: dict[str, dict[str, ContainerInstance]] = {}
        self.activations: dict[str, Activation] = {}
        self.nodes: dict[str, ManagedInstance] = {}
        self.settings: dict[str, ServiceSetting] = {}

    def hold(self, entity: Entity) -> None:
        """Take an entity in, new or changed."""
        match entity:
            case Cluster():
                self.clusters[entity.name] = entity
            case ContainerInstance():
                self.instances[entity.id] = entity
                self.instances_of.setdefault(entity.cluster, {})[entity.id] = entity
            case Activation():
                self.activations[entity.id] = entity
            case ManagedInstance():
                self.nodes[entity.id] = entity
            case ServiceSetting():
                self.settings[entity.id] = entity

    def drop(self, entity: Entity) -> None:
        """Forget an entity; container instances and clusters are never dropped, only INACTIVE."""
        match entity:
            case Activation():
                self.activations.pop(entity.id, None)
            case ManagedInstance():
                self.nodes.pop(entity.id, None)
            case ServiceSetting():
                self.settings.pop(entity.id, None)


def arn_prefix(service: str, account: str, region: str) -> str:
    """``arn:aws:ecs:eu-west-1:111122223333``, with the partition that the region is in."""
    partition = "aws"
    if region.startswith("cn-"):
        partition = "aws-cn"
    elif region.startswith("us-gov-"):
        partition = "aws-us-gov"
    return f"arn:{partition}:{service}:{region}:{account}"


def is_region(name: str) -> bool:
    """Whether a name has the form of a region's."""
    return _REGION.fullmatch(name) is not None


def is_custom(attribute: str) -> bool:
    """Whether an attribute's name is one that people may set, and not the agent's."""
    return not attribute.startswith(_CUSTOM_PREFIXES)
