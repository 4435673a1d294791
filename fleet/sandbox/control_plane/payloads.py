"""Builds the messages to ECS agents: PayloadMessage with its tasks, and the manifest.

Shapes are those that amazon-ecs-agent 1.105.1 was seen to accept (agent-protocol 3.2 to 3.4):
engine settings are JSON inside strings, ``environment`` is a map, times are nanoseconds.
"""

import json
import uuid
from collections.abc import Iterable, Mapping
from typing import Any

from fleet.sandbox.control_plane.entities import ContainerInstanceEntity, TaskEntity
from fleet.sandbox.control_plane.world import RegionState

_NANOSECONDS = 1_000_000_000
_AS_THEY_ARE = (
    "command",
    "entryPoint",
    "links",
    "mountPoints",
    "volumesFrom",
    "dependsOn",
    "startTimeout",
    "stopTimeout",
    "restartPolicy",
)
_CHECK_TIMES = {
    "interval": ("Interval", 30),
    "timeout": ("Timeout", 5),
    "startPeriod": ("StartPeriod", 0),
}


def payload(
    state: RegionState, instance: ContainerInstanceEntity, tasks: Iterable[TaskEntity]
) -> dict[str, Any]:
    """Return a PayloadMessage with the intents of some tasks of an instance."""
    return {
        **_heading(instance),
        "seqNum": instance.timeline,
        "tasks": [_intent(state, task) for task in tasks],
    }


def manifest(state: RegionState, instance: ContainerInstanceEntity) -> dict[str, Any]:
    """Return a TaskManifestMessage: every task that the instance should run, under its timeline."""
    return {
        **_heading(instance),
        "timeline": instance.timeline,
        "tasks": [
            {
                "taskArn": task.arn,
                "taskClusterArn": _cluster_arn(instance),
                "desiredStatus": task.desired_status,
            }
            for task in state.tasks_on.get(instance.id, {}).values()
        ],
    }


def stop_ack(
    state: RegionState, instance: ContainerInstanceEntity, message: Mapping[str, Any], now: float
) -> dict[str, Any]:
    """Return the TaskStopVerificationAck of what an agent proposed to stop.

    A candidate is accepted unless it should run on this very instance.
    """
    wanted = {
        task.arn
        for task in state.tasks_on.get(instance.id, {}).values()
        if task.desired_status == "RUNNING"
    }
    candidates = [
        candidate
        for candidate in message.get("stopCandidates") or ()
        if isinstance(candidate, Mapping) and candidate.get("taskArn") not in wanted
    ]
    return {
        "messageId": message.get("messageId", ""),
        "generatedAt": int(now * 1000),
        "stopTasks": candidates,
    }


def _heading(instance: ContainerInstanceEntity) -> dict[str, Any]:
    return {
        "messageId": str(uuid.uuid4()),
        "clusterArn": _cluster_arn(instance),
        "containerInstanceArn": instance.arn,
    }


def _cluster_arn(instance: ContainerInstanceEntity) -> str:
    return f"{instance.arn.partition(':container-instance/')[0]}:cluster/{instance.cluster}"


def _intent(state: RegionState, task: TaskEntity) -> dict[str, Any]:
    if task.desired_status == "STOPPED":
        return {"arn": task.arn, "desiredStatus": "STOPPED"}
    found = state.task_definition(task.task_definition)
    content = found.content if found is not None else {}
    family, _, revision = task.task_definition.rpartition("/")[2].partition(":")
    _, _, service = task.service.partition("/")
    arns = {container["name"]: container["containerArn"] for container in task.containers}
    return {
        "arn": task.arn,
        "taskClusterArn": task.instance_arn.partition(":container-instance/")[0]
        + f":cluster/{task.cluster}",
        "family": family,
        "version": revision,
        "desiredStatus": "RUNNING",
        "launchType": "EXTERNAL",
        "serviceName": service,
        "group": task.group,
        "networkMode": content.get("networkMode", "bridge"),
        "overrides": "{}",
        "volumes": [_volume(volume) for volume in content.get("volumes", ())],
        "containers": [
            {**_container(part, content), "containerArn": arns[part["name"]]}
            for part in content.get("containerDefinitions", ())
        ],
    }


def _container(part: Mapping[str, Any], content: Mapping[str, Any]) -> dict[str, Any]:
    sent: dict[str, Any] = {
        "name": part["name"],
        "image": part["image"],
        "essential": part.get("essential", True),
        "cpu": part.get("cpu", 0),
        "memory": part.get("memory", part.get("memoryReservation", 0)),
        "environment": {pair["name"]: pair["value"] for pair in part.get("environment", ())},
        "portMappings": [
            {"hostPort": 0, "protocol": "tcp", **mapping}
            for mapping in part.get("portMappings", ())
        ],
        "overrides": "{}",
        "dockerConfig": {
            "version": "1.18",
            "config": json.dumps(_docker_config(part)),
            "hostConfig": json.dumps(_host_config(part, content)),
        },
    }
    if part.get("healthCheck"):
        sent["healthCheckType"] = "docker"
    return {**sent, **{name: part[name] for name in _AS_THEY_ARE if name in part}}


def _docker_config(part: Mapping[str, Any]) -> dict[str, Any]:
    config: dict[str, Any] = {}
    check = part.get("healthCheck")
    if check:
        config["Healthcheck"] = {
            "Test": check["command"],
            "Retries": check.get("retries", 3),
            **{
                name: check.get(key, default) * _NANOSECONDS
                for key, (name, default) in _CHECK_TIMES.items()
            },
        }
    for key, name in (("user", "User"), ("workingDirectory", "WorkingDir")):
        if part.get(key):
            config[name] = part[key]
    if part.get("dockerLabels"):
        config["Labels"] = part["dockerLabels"]
    return config


def _host_config(part: Mapping[str, Any], content: Mapping[str, Any]) -> dict[str, Any]:
    config: dict[str, Any] = {
        "NetworkMode": content.get("networkMode", "bridge"),
        "CapAdd": [],
        "CapDrop": [],
    }
    log = part.get("logConfiguration")
    if log:
        config["LogConfig"] = {"Type": log["logDriver"], "Config": log.get("options", {})}
    if part.get("memoryReservation"):
        config["MemoryReservation"] = part["memoryReservation"] * 1024 * 1024
    if part.get("privileged"):
        config["Privileged"] = True
    if part.get("readonlyRootFilesystem"):
        config["ReadonlyRootfs"] = True
    return config


def _volume(volume: Mapping[str, Any]) -> dict[str, Any]:
    if "dockerVolumeConfiguration" in volume:
        return {
            "name": volume["name"],
            "type": "docker",
            "dockerVolumeConfiguration": volume["dockerVolumeConfiguration"],
        }
    return {"name": volume["name"], "type": "host", "host": volume.get("host") or {}}
