"""One shop whose NUC should run telemetry, as rules see it when all is well; say what differs."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from fleet.drift.decide.store_case import HostCase, StoreCase
from fleet.model.desired import DesiredService, TaskDefinition
from fleet.model.drift import (
    Background,
    Finding,
    HostConnection,
    HostMemory,
    ShardSeen,
    Spell,
    StoreSeen,
)
from fleet.model.drift_settings import DriftSettings
from fleet.model.inventory import Host
from fleet.model.observed import NotRead, Reading
from fleet.model.services import ContainerState, Deployment, ServiceState, TaskState
from fleet.model.wanted import Wanted
from fleet.release.decide.service_input import service_settings
from tests import build
from tests.rollout.decide import plans

NOW = build.NOW
SERVICE = plans.SERVICE
STORE = "store-042"
OLD, NEW = plans.arn(41), plans.arn(42)
HAND = plans.arn(43)
CONTENTS = {**plans.CONTENTS, HAND: ""}
TAGS = {
    "fleet:fleet": "emea",
    "fleet:store": STORE,
    "fleet:workload": "telemetry",
    "fleet:rollout": "ro-118",
    "fleet:previous": OLD,
    "fleet:content": plans.NEW.content,
}
SETTINGS = {**service_settings(plans.SHAPE), "launchType": "EXTERNAL"}
NOT_READ = NotRead("AccessDenied ecs:DescribeServices")


def ago(**span: float) -> datetime:
    return NOW - timedelta(**span)


def deployment(runs: str = NEW, **changes: Any) -> Deployment:
    value = Deployment(
        "ecs-svc/1",
        "PRIMARY",
        runs,
        desired=1,
        pending=0,
        running=1,
        failed_tasks=0,
        rollout_state="COMPLETED",
        created_at=ago(days=3),
        updated_at=ago(days=3),
    )
    return replace(value, **changes)


def service(runs: str = NEW, **changes: Any) -> ServiceState:
    """Runs what is committed, unless another revision is given."""
    wanted = {"deployments": (deployment(runs),), "tags": TAGS, "settings": SETTINGS, **changes}
    return plans.service(runs, **wanted)


def task(name: str = "t1", runs: str = NEW, host: str = "tel-1", **changes: Any) -> TaskState:
    value = TaskState(
        arn=f"arn:aws:ecs:eu-west-1:111122223333:task/{STORE}/{name}",
        service=SERVICE,
        container_instance_arn=f"arn/{host}",
        task_definition=runs,
        last_status="RUNNING",
        desired_status="RUNNING",
        created_at=ago(days=3),
        started_at=ago(days=3),
        containers=(container(),),
    )
    return replace(value, **changes)


def container(**changes: Any) -> ContainerState:
    digest = plans.NEW_IMAGE.rpartition("@")[2]
    value = ContainerState(
        "ingest", "RUNNING", image_digest=digest, health="HEALTHY", image=plans.NEW_IMAGE
    )
    return replace(value, **changes)


def spell(connection: HostConnection = HostConnection.CONNECTED, **span: float) -> Spell:
    return Spell(connection, ago(**(span or {"days": 30})), NOW)


def host(name: str = "tel-1", **changes: Any) -> HostCase:
    """Connected since long ago; ``instance`` and the like say what differs."""
    room = {"CPU": 4096, "MEMORY": 7800}
    value = HostCase(
        host=build.host(name),
        nodes=(build.node(name=f"{STORE}/{name}"),),
        instances=(plans.instance(name, registered=room, registered_at=ago(days=30)),),
        connection=spell(),
        memory=HostMemory(),
    )
    return replace(value, **changes)


def dark(name: str = "tel-1", **span: float) -> HostCase:
    away = (plans.instance(name, agent_connected=False),)
    since = spell(HostConnection.DARK, **(span or {"hours": 31}))
    return host(name, connection=since, instances=away)


def back(name: str = "tel-1", **changes: Any) -> HostCase:
    """Was dark for 31 hours and came back 40 minutes ago."""
    gone = Spell(HostConnection.DARK, ago(hours=31, minutes=40), ago(hours=1))
    value = host(name, connection=spell(minutes=40), memory=HostMemory((gone,)))
    return replace(value, **changes)


def case(
    *services: ServiceState,
    hosts: Sequence[HostCase] = (),
    wanted: TaskDefinition = plans.NEW,
    seen: Mapping[str, Any] | None = None,
    want: Mapping[str, Any] | None = None,
    store: Mapping[str, Any] | None = None,
    **background: Any,
) -> StoreCase:
    """A store with these services, or with the one that it should have.

    Args:
        hosts: those of the inventory; one NUC unless given.
        wanted: what telemetry should run.
        seen: fields of StoreSeen.
        want: fields of Wanted.
        store: fields of Store.
        background: fields of Background.
    """
    boxes = {one.host.name: one for one in hosts or (host(),)}
    shop = build.store(*(one.host for one in boxes.values()), **(store or {}))
    release = plans.release([shop], wanted)
    instances = tuple(i for one in boxes.values() for i in one.instances)
    looks: dict[str, Any] = {
        "instances": Reading(instances, NOW),
        "services": Reading(services or (service(),), NOW),
        **(seen or {}),
    }
    around: dict[str, Any] = {
        "release": release,
        "contents": CONTENTS,
        "settings": DriftSettings(),
        **background,
    }
    at_aws = StoreSeen(shop.id, **looks)
    desires: dict[str, Any] = {"services": release.services, **(want or {})}
    return StoreCase(
        wanted=Wanted(shop, **desires),
        seen=at_aws,
        shard=shard(at_aws),
        background=Background("emea", NOW, **around),
        hosts=boxes,
    )


def shard(*stores: StoreSeen) -> ShardSeen:
    """An account and region of which nothing matters but its stores."""
    blank = NotRead("not asked")
    known = {one.store: one for one in stores}
    return ShardSeen("emea-prod", "eu-west-1", blank, blank, blank, blank, blank, known)


def box(name: str) -> Host:
    return build.host(name)


def desired(service: str, content: str, *hosts: str) -> DesiredService:
    return DesiredService(STORE, service, content, hosts or ("tel-1",))


def only(findings: list[Finding]) -> Finding:
    """The one finding that there is."""
    assert len(findings) == 1, [one.code for one in findings]
    return findings[0]
