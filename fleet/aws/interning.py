"""Keeps equal parts of what is read once: 40,000 hosts say much the same of themselves."""

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from fleet.model.observed import ContainerInstance, ManagedInstance
from fleet.model.services import ContainerState, ServiceState, TaskState

#: Events kept of a service that is at rest; of another one all are kept.
EVENTS_AT_REST = 2


class Interner:
    """Replaces texts and settings by equal ones that were seen before. Thread-safe.

    It lives as long as one scan. What it returns is as frozen as what it was given.
    """

    def __init__(self) -> None:
        self._texts: dict[str, str] = {}
        self._parts: dict[str, Mapping[str, Any]] = {}

    def node(self, node: ManagedInstance) -> ManagedInstance:
        """Return the same node; its agent's version is that of hundreds."""
        return replace(node, agent_version=self._text(node.agent_version))

    def instance(self, instance: ContainerInstance) -> ContainerInstance:
        """Return the same container instance."""
        return replace(
            instance,
            cluster=self._text(instance.cluster),
            status=self._text(instance.status),
            agent_version=self._text(instance.agent_version),
            docker_version=self._text(instance.docker_version),
            attributes=self._texts_of(instance.attributes),
            tags=self._texts_of(instance.tags),
            registered=self._part(instance.registered),
            remaining=self._part(instance.remaining),
        )

    def service(self, service: ServiceState) -> ServiceState:
        """Return the same service; one at rest keeps few events."""
        deployments = tuple(
            replace(
                one,
                status=self._text(one.status),
                task_definition=self._text(one.task_definition),
                rollout_state=self._text(one.rollout_state),
                rollout_reason=self._text(one.rollout_reason),
            )
            for one in service.deployments
        )
        kept = EVENTS_AT_REST if _is_at_rest(service) else len(service.events)
        return replace(
            service,
            cluster=self._text(service.cluster),
            name=self._text(service.name),
            status=self._text(service.status),
            task_definition=self._text(service.task_definition),
            scheduling=self._text(service.scheduling),
            deployments=deployments,
            tags=self._texts_of(service.tags),
            events=tuple((at, self._text(words)) for at, words in service.events[:kept]),
            settings=self._part(service.settings),
        )

    def task(self, task: TaskState) -> TaskState:
        """Return the same task."""
        return replace(
            task,
            service=self._text(task.service),
            task_definition=self._text(task.task_definition),
            last_status=self._text(task.last_status),
            desired_status=self._text(task.desired_status),
            health=self._text(task.health),
            stop_code=self._text(task.stop_code),
            stopped_reason=self._text(task.stopped_reason),
            containers=tuple(self._container(one) for one in task.containers),
        )

    def _container(self, container: ContainerState) -> ContainerState:
        return replace(
            container,
            name=self._text(container.name),
            status=self._text(container.status),
            image_digest=self._text(container.image_digest),
            health=self._text(container.health),
            image=self._text(container.image),
        )

    def _text(self, value: str) -> str:
        return self._texts.setdefault(value, value)

    def _texts_of(self, texts: Mapping[str, str]) -> dict[str, str]:
        return {self._text(name): self._text(value) for name, value in texts.items()}

    def _part(self, part: Mapping[str, Any]) -> Mapping[str, Any]:
        return self._parts.setdefault(json.dumps(part, sort_keys=True, default=str), part)


def _is_at_rest(service: ServiceState) -> bool:
    """Say whether there is one deployment, and it is done."""
    states = [one.rollout_state for one in service.deployments]
    return states == ["COMPLETED"] and service.running >= service.desired
