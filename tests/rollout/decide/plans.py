"""A small fleet as AWS shows it, and its plan, for tests that say only what differs."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

from fleet.model.desired import (
    DesiredService,
    ImageFact,
    Release,
    Scheduling,
    ServiceShape,
    TaskDefinition,
)
from fleet.model.gate import Sample
from fleet.model.inventory import Fleet, Link, Store, Workload
from fleet.model.observed import Cluster, ContainerInstance
from fleet.model.plan import Plan, PlannedChange
from fleet.model.policy import Policy, Window
from fleet.model.services import ServiceState, StoreView
from fleet.release.decide.service_input import service_settings
from fleet.rollout.decide.plan import plan_rollout
from tests import build

NOW = build.NOW
DIGEST = "images.shops.example/telemetry@sha256:"
OLD_IMAGE, NEW_IMAGE = DIGEST + "a" * 64, DIGEST + "b" * 64
SERVICE = "telemetry-amd64"
STANDARD = Policy("standard", window=Window.ALWAYS)
LTE = Link("lte", metered=True, price_per_gb=Decimal("4.50"), carrier="red")


def body(image: str = NEW_IMAGE, **more: Any) -> dict[str, Any]:
    container = {"name": "ingest", "image": image, "memory": 256, **more}
    return {"family": SERVICE, "containerDefinitions": [container]}


def arn(revision: int = 41, region: str = "eu-west-1") -> str:
    return f"arn:aws:ecs:{region}:111122223333:task-definition/{SERVICE}:{revision}"


OLD, NEW = TaskDefinition.of(body(OLD_IMAGE)), TaskDefinition.of(body())
CONTENTS = {arn(41): OLD.content, arn(42): NEW.content}
BODIES: Mapping[str, Mapping[str, Any]] = {arn(41): OLD.body, arn(42): NEW.body}

SHAPE = ServiceShape(
    name=SERVICE,
    workload="telemetry",
    variant="amd64",
    architecture="amd64",
    scheduling=Scheduling.REPLICA,
    placement=({"type": "distinctInstance"},),
)


def shop(number: int = 42, **changes: Any) -> Store:
    name = f"store-{number:03d}"
    return build.store(
        build.host(store=name), **{"id": name, "cluster": name, "link": LTE, **changes}
    )


def instance(name: str = "tel-1", **changes: Any) -> ContainerInstance:
    return build.instance(**{"arn": f"arn/{name}", "attributes": {"fleet.host": name}, **changes})


def service(runs: str = "", **changes: Any) -> ServiceState:
    value = ServiceState(
        cluster="store-042",
        name=SERVICE,
        arn=f"arn:aws:ecs:eu-west-1:111122223333:service/store-042/{SERVICE}",
        status="ACTIVE",
        task_definition=runs or arn(41),
        scheduling="REPLICA",
        desired=1,
        running=1,
        pending=0,
        tags={"fleet:fleet": "emea", "fleet:rollout": "ro-1", "fleet:content": OLD.content},
        settings=service_settings(SHAPE),
    )
    return replace(value, **changes)


def view(store: Store, *services: ServiceState, **changes: Any) -> StoreView:
    """A store whose one host is connected; with the old revision unless services are given."""
    value = StoreView(
        store=store.id,
        at=NOW,
        cluster=Cluster(store.cluster, f"arn/{store.cluster}", "ACTIVE", 1),
        services=services or (service(),),
        instances=(instance(),),
    )
    return replace(value, **changes)


def dark(store: Store) -> StoreView:
    return view(store, instances=(instance(agent_connected=False),))


def release(stores: Sequence[Store], definition: TaskDefinition = NEW, **changes: Any) -> Release:
    value = Release(
        id="0123456789ab",
        inventory="digest",
        services=tuple(
            DesiredService(s.id, SERVICE, definition.content, tuple(h.name for h in s.hosts))
            for s in stores
        ),
        shapes={SERVICE: SHAPE},
        task_definitions={definition.content: definition},
        images={
            "tag": ImageFact(
                "tag", NEW_IMAGE, ("linux/amd64",), {"linux/amd64": 100_000_000}, "ecr"
            )
        },
    )
    return replace(value, **changes)


def fleet(stores: Sequence[Store], **changes: Any) -> Fleet:
    workload = Workload("telemetry", "telemetry.yaml.j2", {}, {})
    return replace(build.fleet(*stores), workloads=(workload,), **changes)


def plan(
    stores: Sequence[Store],
    views: Sequence[StoreView] | None = None,
    *,
    policy: Policy = STANDARD,
    canary: bool = False,
    seed: int = 0,
    **more: Any,
) -> Plan:
    """The plan of a fleet in which every host is connected and runs the old revision."""
    seen = [view(s) for s in stores] if views is None else views
    given = {
        "contents": CONTENTS,
        "bodies": BODIES,
        "workloads": (),
        "selection": "--all",
        "now": NOW,
        "held": (),
        # Enough to compare dark stores with, so that no note says otherwise.
        "history": Sample(0, 1000),
        **more,
    }
    whole = given.pop("fleet", None) or fleet(stores)
    wanted = given.pop("release", None) or release(stores)
    return plan_rollout(
        whole,
        wanted,
        {one.store: one for one in seen},
        stores=stores,
        policy=policy,
        canary=canary,
        seed=seed,
        **given,
    )


def only(made: Plan) -> PlannedChange:
    (change,) = made.changes
    return change


HOUR = timedelta(hours=1)
