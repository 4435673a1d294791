"""Findings that may be fixed, and what AWS says of them: where only what matters is said."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

from fleet.drift.decide.finding_kinds import Answer
from fleet.drift.decide.fixes import answer_of
from fleet.model.drift import Finding, Unread
from fleet.model.fixing import Already, Deed, Fix, FixObservation, Left
from fleet.model.identity import TAG_FLEET, host_tags
from fleet.model.inventory import Fleet
from fleet.model.observed import Cluster, ContainerInstance, ManagedInstance, Ping
from fleet.model.scan_result import FindingChange, OpenFinding, ScanResult
from fleet.model.services import ServiceState, TaskState
from tests import build, nights
from tests.drift.decide import night_parts

NOW = build.NOW
FLEET: Fleet = build.fleet()
STORE = FLEET.stores[0]
HOST = STORE.hosts[0]
OURS = host_tags(FLEET.name, HOST)
THEIRS = {**OURS, TAG_FLEET: "another"}
DAY = timedelta(days=1)
OLD_NODE = "mi-" + "a" * 17
#: The container instance that is connected, and one that is left over beside it.
KEEP = build.instance(registered_at=NOW - DAY)
DEAD = build.instance(arn=f"{build.ARN}-old", agent_connected=False, registered_at=NOW - 9 * DAY)
OLD = replace(DEAD, managed_instance_id=OLD_NODE)
LOST = build.node(id=OLD_NODE, ping=Ping.CONNECTION_LOST, last_ping_at=NOW - DAY)
CLUSTER = Cluster(build.CLUSTER, f"arn:aws:ecs:eu-west-1:1:cluster/{build.CLUSTER}", "ACTIVE", 1)
SERVICE = "telemetry-amd64"
RUNS = f"arn:aws:ecs:eu-west-1:1:task-definition/{SERVICE}:7"
SERVICE_ARN = f"arn:aws:ecs:eu-west-1:1:service/{build.CLUSTER}/{SERVICE}"


def finding(code: str, **data: Any) -> Finding:
    """One that a scan calls safe."""
    return night_parts.finding(code, host=HOST.name, safe=True, data=data)


def twin() -> Finding:
    return finding("TWIN", keep=KEEP.arn, arns=[DEAD.arn], cluster=KEEP.cluster)


def ghost() -> Finding:
    return finding("GHOST_INSTANCE", arn=OLD.arn, cluster=OLD.cluster, node=OLD_NODE)


def ghost_node() -> Finding:
    return finding("GHOST_NODE", node=OLD_NODE)


def attributes() -> Finding:
    return finding("ATTRIBUTES", arn=KEEP.arn, put={}, drop=[])


def untagged_node() -> Finding:
    return finding("NODE_UNTAGGED", node=build.MI, tags=OURS)


def untagged_cluster() -> Finding:
    return replace(finding("CLUSTER_TAGS", arn=CLUSTER.arn, tags={}), host="")


def untagged_service() -> Finding:
    tags = {TAG_FLEET: FLEET.name, "fleet:content": "abc"}
    return replace(finding("SERVICE_UNTAGGED", arn=SERVICE_ARN, tags=tags, runs=RUNS), host="")


def stale_activation(code: str = "ACTIVATION_OPEN") -> Finding:
    return finding(code, activation="act-1")


def seen(*instances: ContainerInstance, **more: Any) -> FixObservation:
    return FixObservation(NOW, instances=instances, **more)


def nodes(*some: ManagedInstance) -> dict[str, Any]:
    return {"nodes": some}


def task(on: ContainerInstance = DEAD, service: str = SERVICE, **changes: Any) -> TaskState:
    value = TaskState(
        arn=f"{on.arn}-task",
        service=service,
        container_instance_arn=on.arn,
        task_definition=RUNS,
        last_status="RUNNING",
        desired_status="RUNNING",
    )
    return replace(value, **changes)


def service(**changes: Any) -> ServiceState:
    value = ServiceState(
        name=SERVICE,
        arn=SERVICE_ARN,
        cluster=build.CLUSTER,
        status="ACTIVE",
        scheduling="REPLICA",
        task_definition=RUNS,
        desired=1,
        running=1,
        pending=0,
    )
    return replace(value, **changes)


def answer(one: Finding, said: FixObservation, fleet: Fleet = FLEET) -> Answer:
    return answer_of(one, said, fleet)


def fix(one: Finding, said: FixObservation) -> Fix:
    """The fix of it; there must be one."""
    found = answer(one, said)
    assert isinstance(found, Fix), found
    return found


def done(one: Finding, said: FixObservation) -> tuple[Deed, ...]:
    """What would be done; it must be something."""
    return fix(one, said).deeds


def left(one: Finding, said: FixObservation) -> str:
    """Why it is left; it must be."""
    found = answer(one, said)
    assert isinstance(found, Left), found
    return found.why


def gone(one: Finding, said: FixObservation) -> str:
    """Why there is nothing to do any more; it must be so."""
    found = answer(one, said)
    assert isinstance(found, Already), found
    return found.why


def night_with(
    *findings: Finding, unread: Sequence[Unread] = (), change: FindingChange = FindingChange.NEW
) -> ScanResult:
    """A night on which these were found."""
    told = tuple(OpenFinding(one, change, NOW) for one in findings)
    return replace(nights.clean_night(1, 1), findings=told, unread=tuple(unread))
