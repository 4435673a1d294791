"""What can be wrong with services and tasks, and with what hosts say of themselves."""

from dataclasses import replace

from fleet.sandbox.agents.containers import Container
from tests.scenarios.chains import reference
from tests.scenarios.drift.injecting import Table
from tests.scenarios.drift.spots import Expected, Spot
from tests.scenarios.drift.town import HOUR, WORKLOADS, store_id

#: Docker's answer for another image than is pinned.
STALE = f"sha256:{'5' * 64}"

SERVICES = Table()
injects = SERVICES.enter


# Services.


@injects("SERVICE_MISSING")
def service_missing(spot: Spot) -> list[Expected]:
    spot.delete()
    return spot.expect("SERVICE_MISSING")


@injects("SERVICE_DRAINING")
def service_draining(spot: Spot) -> list[Expected]:
    """Its task cannot be ended, which is told of the task as well."""
    spot.behave(run="hangs")
    spot.delete()
    return spot.expect("SERVICE_DRAINING") + spot.expect_here("TASK_STUCK_STOPPING")


@injects("SERVICE_UNMANAGED")
def service_unmanaged(spot: Spot) -> list[Expected]:
    spot.ecs(
        "CreateService",
        serviceName=f"somebody-s-{spot.half}",
        taskDefinition=spot.define("somebody/s:1", family=f"somebody-s-{spot.half}"),
        desiredCount=1,
        launchType="EXTERNAL",
    )
    return spot.expect("SERVICE_UNMANAGED")


@injects("SERVICE_SETTINGS")
def service_settings(spot: Spot) -> list[Expected]:
    breaker = {"enable": False, "rollback": False}
    spot.update(deploymentConfiguration={"deploymentCircuitBreaker": breaker})
    return spot.expect("SERVICE_SETTINGS")


@injects("SERVICE_COUNT")
def service_count(spot: Spot) -> list[Expected]:
    spot.update(desiredCount=2)
    return spot.expect("SERVICE_COUNT")


@injects("SERVICE_UNTAGGED")
def service_untagged(spot: Spot) -> list[Expected]:
    arn = spot.described()["serviceArn"]
    spot.arn("UntagResource", resourceArn=arn, tagKeys=["fleet:store"])
    return spot.expect("SERVICE_UNTAGGED")


@injects("TASKS_SHORT")
def tasks_short(spot: Spot) -> list[Expected]:
    """What ran for weeks ends, and does not come up again."""
    spot.behave(run="crash")
    spot.ecs("StopTask", task=spot.task())
    return spot.expect("TASKS_SHORT")


@injects("DEPLOYMENT_STUCK")
def deployment_stuck(spot: Spot) -> list[Expected]:
    """The old task cannot be ended, so that the new one finds no room."""
    spot.behave(run="hangs")
    spot.update(forceNewDeployment=True)
    return spot.expect("DEPLOYMENT_STUCK") + spot.expect_here("TASK_STUCK_STOPPING")


@injects("DEPLOYMENT_FAILED")
def deployment_failed(spot: Spot) -> list[Expected]:
    """Deleted and made anew as it was, it crashes, and there is nothing to go back to."""
    before = spot.described()
    spot.delete()
    spot.pass_by(300)
    spot.behave(run="crash")
    settings = (
        "desiredCount",
        "deploymentConfiguration",
        "placementConstraints",
        "launchType",
        "enableECSManagedTags",
        "propagateTags",
        "enableExecuteCommand",
    )
    spot.ecs(
        "CreateService",
        serviceName=spot.service,
        taskDefinition=before["taskDefinition"],
        schedulingStrategy=before["schedulingStrategy"],
        availabilityZoneRebalancing=before["availabilityZoneRebalancing"],
        tags=before["tags"],
        **{key: before[key] for key in settings},
    )
    return spot.expect("DEPLOYMENT_FAILED")


# Releases.


@injects("RELEASE_OWED", alone=True)
def release_owed(spot: Spot) -> list[Expected]:
    """The shop was dark while the others got it, and came back when all was over."""
    spot.town.chain.cut(spot.store)
    spot.pass_by(HOUR)
    spot.town.commit("2", spot.workload)
    spot.town.load()
    spot.town.roll_out(spot.workload)
    spot.town.chain.restore(spot.store)
    return spot.expect("RELEASE_OWED")


@injects("RELEASE_PENDING", alone=True)
def release_pending(spot: Spot) -> list[Expected]:
    spot.town.commit("2", spot.workload)
    spot.town.load()
    return [Expected("RELEASE_PENDING", store_id(n)) for n in range(spot.town.plan.stores)]


@injects("SENDING_STOPPED", alone=True)
def sending_stopped(spot: Spot) -> list[Expected]:
    spot.town.stop("1.9.0 kills tills")
    return [Expected("SENDING_STOPPED")]


@injects("ROLLOUT_WAITS", alone=True)
def rollout_waits(spot: Spot) -> list[Expected]:
    """Somebody paused it a moment ago."""
    spot.town.commit("2", spot.workload)
    spot.town.load()
    spot.town.roll_out(spot.workload, ticks=1, paused=True)
    return [Expected("ROLLOUT_WAITS")]


@injects("RELEASE_RECALLED", alone=True)
def release_recalled(spot: Spot) -> list[Expected]:
    """Its rollout was done; then it did not come up again in one of two shops."""
    spot.town.commit("2", spot.workload)
    spot.town.load()
    spot.town.roll_out(spot.workload)
    spot.box.catalogue.tell({reference(spot.workload, "2"): {"run": "crash"}})
    spot.ecs("StopTask", task=spot.task())
    return [Expected("RELEASE_RECALLED"), *spot.expect("TASKS_SHORT")]


@injects("ROLLOUT_IDLE", alone=True, lasts_s=25 * HOUR)
def rollout_idle(spot: Spot) -> list[Expected]:
    """Somebody started it and closed the laptop: it has sent nothing, and holds every shop."""
    spot.town.commit("2", spot.workload)
    spot.town.load()
    spot.town.roll_out(spot.workload, ticks=0)
    return [Expected("ROLLOUT_IDLE")]


@injects("CHANGED_BY_HAND")
def changed_by_hand(spot: Spot) -> list[Expected]:
    spot.update(taskDefinition=spot.define("somebody/s:2"))
    return spot.expect("CHANGED_BY_HAND")


@injects("REVISION_GONE")
def revision_gone(spot: Spot) -> list[Expected]:
    arn = spot.again()
    spot.update(taskDefinition=arn)
    spot.pass_by(300)
    spot.arn("DeregisterTaskDefinition", taskDefinition=arn)
    return spot.expect("REVISION_GONE")


@injects("REVISIONS_QUOTA", alone=True)
def revisions_quota(spot: Spot) -> list[Expected]:
    for _ in range(3):
        arn = spot.again()
    spot.update(taskDefinition=arn)
    spot.town.drift("revisions: 4")
    return [Expected("REVISIONS_QUOTA")]


# Tasks and images.


@injects("IMAGE_DRIFT")
def image_drift(spot: Spot) -> list[Expected]:
    """Docker took a stale copy for what is pinned; the host itself says so too."""
    spot.behave(digest=STALE)
    spot.ecs("StopTask", task=spot.task())
    return spot.expect_here("IMAGE_DRIFT")


@injects("TASK_OLD_REVISION")
def task_old_revision(spot: Spot) -> list[Expected]:
    """ECS forgot a task in a deployment that it calls complete."""
    older, newer = spot.again(), spot.again()
    spot.update(taskDefinition=newer)
    spot.pass_by(600)
    spec = spot.box.spec
    realm = spot.town.chain.plane._world.region_state(spec.account_id, spec.region)
    realm.tasks_of[spot.store][spot.task().rpartition("/")[2]].task_definition = older
    return spot.expect_here("TASK_OLD_REVISION")


@injects("TASK_ORPHAN")
def task_orphan(spot: Spot) -> list[Expected]:
    spot.ecs(
        "StartTask",
        taskDefinition=spot.define("somebody/s:3"),
        containerInstances=[spot.instance],
    )
    return spot.expect_here("TASK_ORPHAN")


@injects("TASK_STUCK_STOPPING")
def task_stuck_stopping(spot: Spot) -> list[Expected]:
    spot.behave(run="hangs")
    spot.ecs("StopTask", task=spot.task())
    return spot.expect_here("TASK_STUCK_STOPPING")


# Room.


@injects("TASK_NEVER_FITS")
def task_never_fits(spot: Spot) -> list[Expected]:
    """The box is left with less memory than its smallest host of the kind should have."""
    largest = max(WORKLOADS[name][1] for name in spot.workloads)
    _leave(spot, largest - 1)
    return spot.expect_here("TASK_NEVER_FITS")


@injects("CAPACITY_SHORT", halves=("cam",))
def capacity_short(spot: Spot) -> list[Expected]:
    _leave(spot, sum(WORKLOADS[name][1] for name in spot.workloads) - 1)
    return spot.expect_here("CAPACITY_SHORT")


def _leave(spot: Spot, memory_mb: int) -> None:
    spot.box.set(ECS_RESERVED_MEMORY=str(spot.box.spec.memory_mb - memory_mb))


@injects("PORT_CLASH", halves=("cam",), alone=True)
def port_clash(spot: Spot) -> list[Expected]:
    """Committed, and not rolled out yet."""
    for workload in spot.workloads:
        spot.town.template(workload, ", portMappings: [{containerPort: 80, hostPort: 8080}]")
    spot.town.load()
    stores = [store_id(number) for number in range(spot.town.plan.stores)]
    pending = [Expected("RELEASE_PENDING", store) for store in stores for _ in spot.workloads]
    return [Expected("PORT_CLASH", store, spot.name) for store in stores] + pending


# What hosts say of themselves.


@injects("DISK_LOW")
def disk_low(spot: Spot) -> list[Expected]:
    spot.box.set_conditions({"disk_free_mb": 700})
    return spot.expect_here("DISK_LOW")


@injects("HOT")
def hot(spot: Spot) -> list[Expected]:
    spot.box.set_conditions({"temperature_c": 97.0})
    return spot.expect_here("HOT")


@injects("CLOCK_WRONG")
def clock_wrong(spot: Spot) -> list[Expected]:
    spot.box.set_conditions({"clock_offset_s": 900.0})
    return spot.expect_here("CLOCK_WRONG")


@injects("CONTAINER_MISSING")
def container_missing(spot: Spot) -> list[Expected]:
    """Docker lost it, and told nobody."""
    _container(spot).status = "exited"
    return spot.expect_here("CONTAINER_MISSING")


@injects("CONTAINER_UNKNOWN")
def container_unknown(spot: Spot) -> list[Expected]:
    """A container of a task that ECS gave up long ago."""
    known = _container(spot)
    task = f"{known.labels['com.amazonaws.ecs.task-arn'][:-4]}dead"
    labels = {**known.labels, "com.amazonaws.ecs.task-arn": task}
    spot.box.containers.create(replace(known, id="d" * 64, name="left-over", labels=labels))
    return spot.expect_here("CONTAINER_UNKNOWN")


@injects("CONTAINER_OLD_IMAGE")
def container_old_image(spot: Spot) -> list[Expected]:
    """Somebody replaced it on the box by one of another image, under the same labels."""
    images, container = spot.box.containers.images, _container(spot)
    pinned = images.cached(container.image)
    assert pinned is not None
    container.image = "images.shops.example/by-hand:1"
    images._images[container.image] = replace(pinned, digest=STALE)
    return spot.expect_here("CONTAINER_OLD_IMAGE")


@injects("CRASH_LOOP")
def crash_loop(spot: Spot) -> list[Expected]:
    """It exits every ten minutes, and the agent starts it again: ECS sees a RUNNING task."""
    spot.behave(run="crash", after_s=600)
    spot.update(forceNewDeployment=True)
    return spot.expect_here("CRASH_LOOP")


def _container(spot: Spot) -> Container:
    return next(c for c in spot.box.containers.all(running=True) if c.image == spot.image)
