"""The service scheduler: acts on a service after an event or when it is due.

Looks are level-triggered: nothing is remembered of earlier looks but what the entities say, so that
a look too many changes nothing. Nothing runs for a service that is as it should be: looks are
timers of the sandbox's schedule, at most one waiting for each service.
"""

from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager

from fleet.sandbox.control_plane import deployments, placement, service_events, task_life
from fleet.sandbox.control_plane.agent_sessions import AgentSessions
from fleet.sandbox.control_plane.assumptions import SCHEDULER_REACTS_AFTER_S
from fleet.sandbox.control_plane.call import Context
from fleet.sandbox.control_plane.entities import (
    ContainerInstanceEntity,
    DeploymentEntity,
    ServiceEntity,
    TaskDefinitionEntity,
    TaskEntity,
)
from fleet.sandbox.control_plane.rolling_update import (
    Limits,
    ServiceStanding,
    Step,
    daemon_step,
    replica_step,
)
from fleet.sandbox.control_plane.world import ServiceKey, World
from fleet.sandbox.schedule import Schedule, Timer


class ServiceScheduler:
    """Plans looks at the services that the work queue names.

    Args:
        world: whose services they are.
        writing: holds the control plane's lock and stores what was changed.
        sessions: sends the agents what came of it.
    """

    def __init__(
        self,
        world: World,
        writing: Callable[[], AbstractContextManager[None]],
        sessions: AgentSessions,
    ) -> None:
        self._world = world
        self._writing = writing
        self._sessions = sessions
        self._schedule: Schedule | None = None
        self._waiting: dict[ServiceKey, Timer] = {}

    def run_on(self, schedule: Schedule) -> None:
        """Work on a schedule from now on; called under the control plane's lock.

        What a world from disk had in progress is looked at again.
        """
        self._schedule = schedule
        for state in self._world.region_states():
            for cluster in state.services_of:
                self._world.work.reconcile_cluster(state, cluster)
        self.plan_queued()

    def plan_queued(self) -> None:
        """Plan looks at the services in the work queue; called under the control plane's lock."""
        if self._schedule is None or not self._world.work.services:
            return
        due = self._world.clock.now() + SCHEDULER_REACTS_AFTER_S
        for key in self._world.work.take_services():
            self._plan(key, due)

    def _plan(self, key: ServiceKey, due: float) -> None:
        waiting = self._waiting.get(key)
        if waiting is not None:
            if waiting.when <= due:
                return
            waiting.cancel()
        if self._schedule is not None:
            self._waiting[key] = self._schedule.at(due, lambda: self._look(key))

    def _look(self, key: ServiceKey) -> None:
        with self._writing():
            self._waiting.pop(key, None)
            self._world.forget_stopped()
            account, region, name = key
            state = self._world.region_state(account, region)
            service = state.service(name)
            if service is not None:
                after = reconcile(Context(self._world, state, self._world.clock.now()), service)
                if after is not None:
                    self._plan(key, after)
        self._sessions.flush()


def reconcile(context: Context, service: ServiceEntity) -> float | None:
    """Bring a service nearer to what it should be.

    Returns:
        Epoch seconds of the next look, should nothing happen before; None when time alone
        changes nothing.
    """
    if service.status == "DRAINING":
        _drain(context, service)
        return None
    if service.status != "ACTIVE":
        return None
    before = _shown_state(service)
    deployments.drop_empty(context, service)
    _count_healthy(context, service)
    primary = deployments.primary_of(context.state, service)
    if primary.rollout_state != "FAILED":
        _Look(context, service, primary).act()
        _conclude(context, service, primary)
    if before != _shown_state(service):
        context.world.save(service)
    return _next_look(context, service, deployments.primary_of(context.state, service))


def _shown_state(service: ServiceEntity) -> tuple[object, ...]:
    return service.desired_count, service.steady, service.obstacle, service.events[:1]


class _Look:
    """One look at an ACTIVE service whose newest deployment has not failed."""

    def __init__(self, context: Context, service: ServiceEntity, primary: DeploymentEntity) -> None:
        self._context = context
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
            step = replica_step(standing, Limits.of(self._service.desired_count, *percents))
            self._stop(step)
            self._start(placement.place(*self._wanted()) for _ in range(step.start))
            return
        matching = self._matching()
        self._service.desired_count = len(matching)
        limits = Limits.of(len(matching), *percents)
        step, free = daemon_step(standing, sorted(matching), limits)
        self._stop(step)
        self._start(self._instance_or_obstacle(matching[name]) for name in free)

    def _wanted(self) -> tuple[Context, ServiceEntity, TaskDefinitionEntity]:
        return self._context, self._service, self._definition

    def _standing(self, task: TaskEntity) -> ServiceStanding:
        instance = self._context.state.instances[task.instance]
        kept = (
            task.deployment == self._primary.number
            and instance.status == "ACTIVE"
            and task.health != "UNHEALTHY"
        )
        return ServiceStanding(
            task.id,
            kept,
            task_life.healthy(task, self._context.now),
            task.desired_status == "STOPPED",
            task.instance,
        )

    def _matching(self) -> dict[str, ContainerInstanceEntity]:
        """Return the ACTIVE instances that a DAEMON service wants; a disconnected one counts."""
        constraints = placement.constraints_of(self._service, self._definition)
        return {
            instance.id: instance
            for instance in self._context.state.instances_of.get(self._service.cluster, {}).values()
            if instance.status == "ACTIVE" and placement.matches(instance, constraints)
        }

    def _stop(self, step: Step) -> None:
        context, service = self._context, self._service
        scaling = f"Scaling activity initiated by (deployment {self._primary.id})"
        told = [self._tasks[task_id] for task_id in (*step.surplus, *step.replaced)]
        for task in told:
            if task.health == "UNHEALTHY":
                service_events.unhealthy(service, context.now, task)
                task_life.count_failure(context, service, task)
                task_life.stop(context, task, task_life.SCHEDULER, task_life.UNHEALTHY)
            else:
                task_life.stop(context, task, task_life.SCHEDULER, scaling)
        if told:
            service_events.stopped(service, context.now, told)

    def _instance_or_obstacle(
        self, instance: ContainerInstanceEntity
    ) -> ContainerInstanceEntity | str:
        found = placement.obstacle_on(self._context, instance, self._service, self._definition)
        if found is None:
            return instance
        return f"The closest matching (container-instance {instance.id}) {found.text}"

    def _start(self, found: Iterable[ContainerInstanceEntity | str]) -> None:
        """Place a task on each instance; a text says why there is none."""
        context, service = self._context, self._service
        if context.now < self._primary.start_after:
            return
        placed: list[TaskEntity] = []
        obstacle = ""
        for one in found:
            if isinstance(one, str):
                obstacle = one
                if service.strategy == "REPLICA":
                    break
            else:
                args = context, service, self._primary, self._definition, one
                placed.append(task_life.start(*args))
        if not placed and not obstacle:
            return
        if placed:
            service_events.started(service, context.now, placed)
        if obstacle and obstacle != service.obstacle:
            service_events.unplaced(service, context.now, obstacle)
        service.obstacle = obstacle


def _count_healthy(context: Context, service: ServiceEntity) -> None:
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


def _conclude(context: Context, service: ServiceEntity, primary: DeploymentEntity) -> None:
    """Decide whether the service is steady, and the deployment complete."""
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


def _drain(context: Context, service: ServiceEntity) -> None:
    """Stop the tasks of a deleted service; it is INACTIVE once they have stopped."""
    live: Sequence[TaskEntity] = tuple(context.state.live_tasks_of.get(service.key, {}).values())
    for task in live:
        task_life.stop(context, task, task_life.SCHEDULER, "Service was deleted")
    if not context.state.live_tasks_of.get(service.key):
        deployments.end(context, service)
        service.status = "INACTIVE"
        context.world.save(service)


def _next_look(context: Context, service: ServiceEntity, primary: DeploymentEntity) -> float | None:
    moments = [
        task_life.healthy_at(task)
        for task in context.state.live_tasks_of.get(service.key, {}).values()
        if task.last_status == "RUNNING" and task.desired_status == "RUNNING" and not task.checked
    ]
    if primary.rollout_state != "FAILED" and primary.start_after:
        moments.append(primary.start_after)
    return min((moment for moment in moments if moment > context.now), default=None)


def _definition(context: Context, deployment: DeploymentEntity) -> TaskDefinitionEntity:
    found = context.state.task_definition(deployment.task_definition)
    if found is None:
        message = f"the task definition {deployment.task_definition} of a deployment is gone"
        raise AssertionError(message)
    return found
