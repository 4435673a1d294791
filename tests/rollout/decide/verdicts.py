"""The world of tests/cases/verdicts: one shop, one change, a clock that starts as it is sent."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from fleet.model.changes import Change
from fleet.model.observed import ContainerInstance
from fleet.model.policy import Policy
from fleet.model.rollout import Place
from fleet.model.services import (
    ContainerState,
    Deployment,
    ServiceDeployment,
    ServiceState,
    StoreView,
    TaskState,
)
from fleet.model.verdicts import Stage, Verdict
from fleet.rollout.decide.judgement import Judgement
from fleet.rollout.decide.verdict import judge

SENT = datetime(2026, 11, 23, 2, 0, tzinfo=UTC)
ROOT = "arn:aws:ecs:eu-west-1:111122223333"
SERVICE = "vision-arm64"
POLICY = Policy("standard")


def after(seconds: float) -> datetime:
    return SENT + timedelta(seconds=seconds)


def revision(number: int) -> str:
    return f"{ROOT}:task-definition/vision-arm64:{number}"


def instance_arn(host: str) -> str:
    return f"{ROOT}:container-instance/store-042/{host}"


def place(*hosts: str) -> Place:
    return Place(
        "store-042",
        "Leeds Briggate",
        "emea-prod",
        "111122223333",
        "eu-west-1",
        "store-042",
        "Europe/London",
        {},
        "lte",
        hosts={SERVICE: hosts or ("cam-1",)},
    )


def change(**fields: Any) -> Change:
    value = Change(
        store="store-042",
        service=SERVICE,
        account="emea-prod",
        region="eu-west-1",
        cluster="store-042",
        wave=0,
        content="c" * 64,
        previous=revision(12),
        desired_count=1,
        previous_count=1,
        stage=Stage.SENT,
        sent_at=SENT,
        since=SENT,
        target=revision(13),
        sends=1,
    )
    fields = {
        **fields,
        **({"stage": Stage(fields["stage"])} if "stage" in fields else {}),
        **({"verdict": Verdict(fields["verdict"])} if "verdict" in fields else {}),
    }
    return replace(value, **fields)


def instance(
    host: str = "cam-1", *, connected: bool = True, status: str = "ACTIVE"
) -> ContainerInstance:
    return ContainerInstance(
        instance_arn(host),
        "store-042",
        f"mi-{host}",
        status,
        connected,
        after(-86400),
        attributes={"fleet.host": host},
    )


def task(number: int = 0, **said: Any) -> TaskState:
    """A task of the new revision that has been running since second 2."""
    stopped = said.get("stopped")
    container = ContainerState(
        "vision",
        "STOPPED" if stopped is not None else "RUNNING",
        exit_code=said.get("exit"),
        reason=said.get("said", ""),
    )
    started = said.get("started", 2)
    return TaskState(
        f"{ROOT}:task/store-042/{number:04}",
        SERVICE,
        instance_arn(said.get("host", "cam-1")),
        revision(said.get("rev", 13)),
        said.get("status", "STOPPED" if stopped is not None else "RUNNING"),
        said.get("wanted", "STOPPED" if stopped is not None else "RUNNING"),
        said.get("health", "UNKNOWN"),
        after(said.get("created", 2)),
        after(started) if started is not None else None,
        after(stopped) if stopped is not None else None,
        said.get("code", ""),
        said.get("why", ""),
        (container,),
    )


def service(**said: Any) -> ServiceState:
    number = said.get("rev", 13)
    desired = said.get("desired", 1)
    deployment = Deployment(
        "ecs-svc/1",
        "PRIMARY",
        revision(number),
        desired,
        0,
        said.get("running", desired),
        said.get("failed", 0),
        said.get("state", "COMPLETED"),
        said.get("why", ""),
        created_at=after(said.get("deployed", 0)),
    )
    return ServiceState(
        "store-042",
        SERVICE,
        f"{ROOT}:service/store-042/{SERVICE}",
        said.get("status", "ACTIVE"),
        revision(number),
        said.get("scheduling", "REPLICA"),
        desired,
        deployment.running,
        0,
        (deployment,),
        said.get("tags", {"fleet:rollout": "ro-118", "fleet:content": "c" * 64}),
        tuple((after(at), text) for at, text in said.get("events", ())),
    )


def record(**said: Any) -> ServiceDeployment:
    return ServiceDeployment(
        f"{ROOT}:service-deployment/store-042/{SERVICE}/{said.get('created', 0)}",
        said.get("status", "SUCCESSFUL"),
        revision(said.get("rev", 13)),
        said.get("breaker", "MONITORING_COMPLETE"),
        reason=said.get("why", ""),
        created_at=after(said.get("created", 0)),
    )


def view(said: Mapping[str, Any]) -> StoreView:
    """What AWS says, from the words of a case file."""
    hosts: Mapping[str, Mapping[str, Any]] = said.get("hosts", {"cam-1": {}})
    told = said.get("service", {})
    depth = said.get("view", "deep")
    shallow = depth != "deep"
    tasks = said.get("tasks", [{}])
    return StoreView(
        "store-042",
        after(said["at"]),
        services=() if told == "absent" else (service(**told),),
        instances=None
        if depth == "services"
        else tuple(
            instance(name, **{k: v for k, v in host.items() if k != "absent"})
            for name, host in hosts.items()
            if not host.get("absent")
        ),
        tasks=None if shallow else tuple(task(n, **t) for n, t in enumerate(tasks)),
        deployments=None
        if shallow
        else {SERVICE: tuple(record(**r) for r in said.get("records", [{}]))},
        problem=said.get("problem", ""),
    )


def look(
    row: Change,
    seen: StoreView,
    *,
    hosts: tuple[str, ...] = ("cam-1",),
    policy: Policy = POLICY,
    health_check: bool = False,
    pull_s: float = 0.0,
    lag_s: float = 2.0,
    where: Place | None = None,
) -> Judgement:
    """Judge it two seconds after AWS answered."""
    return judge(
        row,
        seen,
        where or place(*hosts),
        policy,
        seen.at + timedelta(seconds=lag_s),
        health_check=health_check,
        pull_s=pull_s,
        rollout="ro-118",
    )
