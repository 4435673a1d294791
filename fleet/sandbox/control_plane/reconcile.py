"""The service scheduler's look at one service: what is, what should be, the next step.

Level-triggered: nothing is remembered of earlier looks but what the entities say, so that a look
too many changes nothing.
"""

from collections.abc import Mapping, Sequence

from fleet.sandbox.control_plane import deployments, placement, service_events, task_life
from fleet.sandbox.control_plane.assumptions import (
    BREAKER_COUNTS_PLACEMENT,
    DAEMON_COUNTS_DISCONNECTED,
    PLACEMENT_RETRY_S,
)
from fleet.sandbox.control_plane.context import Context
from fleet.sandbox.control_plane.region_state import ContainerInstance
from fleet.sandbox.control_plane.rolling_update import (
    Limits,
    Standing,
    Step,
    daemon_step,
    replica_step,
)
from fleet.sandbox.control_plane.workloads import Deployment, Service, Task, TaskDefinition


def reconcile(context: Context, service: Service) -> float | None:
    """Bring a service nearer to what it should be.

    Returns:
        Epoch seconds of the next look, should nothing happen before; None when time alone
        changes nothing.
    """
    if service.status == "DRAINING":
        _wind_up(context, service)
        return None
    if service.status != "ACTIVE":
        return None
    before = (service.desired_count, service.steady, service.obstacle, len(service.events))
    newest = service.events[:1]
    deployments.drop_empty(context, service)
    _weigh(context, service)
    primary = deployments.primary_of(context.state, service)
    if primary.rollout_state != "FAILED":
        _Look(context, service, primary).act()
        _conclude(context, service, primary)
    after = (service.desired_count, service.steady, service.obstacle, len(service.events))
    if before != after or newest != service.events[:1]:
        context.world.save(service)
    return _next_look(context, service, deployments.primary_of(context.state, service))


class _Look:
    """One look at an ACTIVE service whose newest deployment has not failed."""

    def __init__(self, context: Context, service: Service, primary: Deployment) -> None:
        self._turn = context
        self._service = service
        self._primary = primary
        self._tasks = dict(context.state.live_tasks_of.get(service.key, {}))
        self._definition = _definition(context, primary)

    def act(self) -> None:
        """Stop and start what the limits allow now."""
        standing = [self._standing(task) for task in self._tasks.values()]
        configuration = self._service.configuration
        percents = configuration["minimumHealthyPercent"], configuration["maximumPercent"]
        if self._service.strategy == "REPLICA":
            limits = Limits.of(self._service.desired_count, *percents)
            step = replica_step(standing, limits)
            self._stop(step)
            self._start(step.start)
            return
        matching = self._matching()
        self._service.desired_count = len(matching)
        limits = Limits.of(len(matching), *percents)
        step, free = daemon_step(standing, sorted(matching), limits)
        self._stop(step)
        self._start_on([matching[name] for name in free])

    def _standing(self, task: Task) -> Standing:
        instance = self._turn.state.instances[task.instance]
        kept = (
            task.deployment == self._primary.number
            and instance.status == "ACTIVE"
            and task.health != "UNHEALTHY"
        )
        return Standing(
            task.id,
            kept,
            task_life.healthy(task, self._turn.now),
            task.desired_status == "STOPPED",
            task.instance,
        )

    def _matching(self) -> dict[str, ContainerInstance]:
        context, service = self._turn, self._service
        constraints = placement.constraints_of(service, self._definition)
        return {
            instance.id: instance
            for instance in context.state.instances_of.get(service.cluster, {}).values()
            if instance.status == "ACTIVE"
            and placement.matches(context.state, instance, constraints)
            and (
                DAEMON_COUNTS_DISCONNECTED
                or context.world.channels.connected(instance.arn, context.now)
            )
        }

    def _stop(self, step: Step) -> None:
        scaling = f"Scaling activity initiated by (deployment {self._primary.id})"
        for task_id in (*step.surplus, *step.replaced):
            task = self._tasks[task_id]
            if task.health == "UNHEALTHY":
                service_events.unhealthy(self._service, self._turn.now, task)
                task_life.count_failure(self._turn, self._service, task)
                task_life.stop(self._turn, task, task_life.SCHEDULER, task_life.UNHEALTHY)
            else:
                task_life.stop(self._turn, task, task_life.SCHEDULER, scaling)
        told = [self._tasks[task_id] for task_id in (*step.surplus, *step.replaced)]
        if told:
            service_events.stopped(self._service, self._turn.now, told)

    def _may_start(self) -> bool:
        return self._turn.now >= self._primary.start_after

    def _start(self, count: int) -> None:
        """Place so many tasks, until one finds no instance."""
        if not count or not self._may_start():
            return
        context, service = self._turn, self._service
        placed: list[Task] = []
        obstacle = ""
        while len(placed) < count and not obstacle:
            found = placement.place(
                context.state, context.world.channels, service, self._definition, context.now
            )
            if isinstance(found, str):
                obstacle = found
            else:
                placed.append(self._place(found))
        self._report(placed, obstacle)

    def _start_on(self, instances: Sequence[ContainerInstance]) -> None:
        """Place a task on each of these, where it fits."""
        if not instances or not self._may_start():
            return
        context, service = self._turn, self._service
        placed: list[Task] = []
        obstacle = ""
        for instance in instances:
            found = placement.obstacle_on(
                context.state,
                context.world.channels,
                instance,
                (service, self._definition),
                context.now,
            )
            if found is None:
                placed.append(self._place(instance))
            else:
                obstacle = f"The closest matching (container-instance {instance.id}) {found.text}"
        self._report(placed, obstacle)

    def _place(self, instance: ContainerInstance) -> Task:
        return task_life.start(self._turn, self._service, self._primary, self._definition, instance)

    def _report(self, placed: Sequence[Task], obstacle: str) -> None:
        context, service = self._turn, self._service
        if placed:
            service_events.started(service, context.now, placed)
        if obstacle and obstacle != service.obstacle:
            service_events.unplaced(service, context.now, obstacle)
        if obstacle and BREAKER_COUNTS_PLACEMENT:
            task_life.note_failure(context, self._primary)
            self._primary.start_after = context.now + PLACEMENT_RETRY_S
            context.world.save(self._primary)
            context.world.work.look_at(service)
        service.obstacle = obstacle


def _weigh(context: Context, service: Service) -> None:
    """Take in what became of the newest deployment's tasks; the circuit breaker may trip."""
    primary = deployments.primary_of(context.state, service)
    settings = service.configuration["deploymentCircuitBreaker"]
    for task in context.state.live_tasks_of.get(service.key, {}).values():
        if task.deployment != primary.number or task.proved:
            continue
        if task_life.healthy(task, context.now):
            task.proved = True
            context.world.save(task)
            primary.failed_starts = 0
            if settings["resetOnHealthyTask"] or not settings["enable"]:
                primary.failed_tasks = 0
            context.world.save(primary)
    if primary.rollout_state != "IN_PROGRESS" or not settings["enable"]:
        return
    counted = deployments.breaker_now(service, primary)
    if counted["failureCount"] >= counted["threshold"]:
        deployments.trip(context, service, primary)


def _conclude(context: Context, service: Service, primary: Deployment) -> None:
    """See whether the service is steady, and the deployment through."""
    live = context.state.live_tasks_of.get(service.key, {}).values()
    good = sum(
        task.deployment == primary.number and task_life.healthy(task, context.now) for task in live
    )
    steady = len(live) == good == service.desired_count
    if steady:
        deployments.drop_empty(context, service)
        if primary.rollout_state == "IN_PROGRESS":
            deployments.complete(context, service, primary)
        if not service.steady:
            service_events.steady(service, context.now)
    service.steady = steady


def _wind_up(context: Context, service: Service) -> None:
    """Stop the tasks of a deleted service; INACTIVE once they have."""
    live: Mapping[str, Task] = context.state.live_tasks_of.get(service.key, {})
    for task in tuple(live.values()):
        task_life.stop(context, task, task_life.SCHEDULER, "Service was deleted")
    if live:
        return
    deployments.end(context, service)
    service.status = "INACTIVE"
    context.world.save(service)


def _next_look(context: Context, service: Service, primary: Deployment) -> float | None:
    moments = [
        task_life.healthy_at(task)
        for task in context.state.live_tasks_of.get(service.key, {}).values()
        if task.last_status == "RUNNING" and task.desired_status == "RUNNING" and not task.checked
    ]
    if primary.rollout_state != "FAILED" and primary.start_after:
        moments.append(primary.start_after)
    return min((moment for moment in moments if moment > context.now), default=None)


def _definition(context: Context, deployment: Deployment) -> TaskDefinition:
    found = context.state.task_definition(deployment.task_definition)
    if found is None:
        message = f"the task definition {deployment.task_definition} of a deployment is gone"
        raise AssertionError(message)
    return found
