"""For every code of the catalogue, how to bring about what it means: at AWS, on a box, or in what
is committed; never in fleet's own values.

Each takes half a shop that is healthy and returns what a scan has to find then, and nothing else.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

from fleet.sandbox.agents.containers import Container
from fleet.sandbox.agents.registration import STATE
from tests.scenarios.drift.spots import Expected, Make, Spot
from tests.scenarios.drift.town import HOUR, WORKLOADS, store_id

#: Docker's answer for another image than is pinned.
STALE = f"sha256:{'5' * 64}"


@dataclass(frozen=True, slots=True)
class Injection:
    """One way for something to be wrong.

    Attributes:
        make: makes it so, and says what a scan has to find.
        halves: of a shop, that it can be done to.
        whole: whether it takes the whole shop, so that nothing else can be wrong there.
        lasts_s: sandbox seconds from then to the scan.
        fresh: whether no scan may have seen the shop before.
        alone: whether it touches shops beside its own, and so goes with no other.
    """

    make: Make
    halves: tuple[str, ...] = ("cam", "tel")
    whole: bool = False
    lasts_s: float = 2 * HOUR
    fresh: bool = False
    alone: bool = False


INJECTIONS: dict[str, Injection] = {}


def injects(code: str, **how: object) -> Callable[[Make], Make]:
    """Enter a way into the table; ``how`` are fields of ``Injection``."""

    def enter(make: Make) -> Make:
        INJECTIONS[code] = replace(Injection(make), **how)  # type: ignore[arg-type] # by name
        return make

    return enter


# Registration.


@injects("CLUSTER_MISSING", whole=True)
def cluster_missing(spot: Spot) -> list[Expected]:
    for workload in WORKLOADS:
        spot.delete(workload)
    spot.pass_by(300)
    for name in spot.town.plan.hosts:
        arn = spot.town.instance(name, spot.number)
        spot.ecs("DeregisterContainerInstance", containerInstance=arn, force=True)
    spot.ecs("DeleteCluster")
    return spot.expect("CLUSTER_MISSING")


@injects("HOST_UNREGISTERED")
def host_unregistered(spot: Spot) -> list[Expected]:
    node, instance = spot.node, spot.instance
    spot.box.ecs_agent.stop()
    spot.box.ssm_agent.stop()
    spot.ecs("DeregisterContainerInstance", containerInstance=instance, force=True)
    spot.ssm("DeregisterManagedInstance", InstanceId=node)
    return spot.expect_here("HOST_UNREGISTERED")


@injects("HOST_NOT_IN_ECS")
def host_not_in_ecs(spot: Spot) -> list[Expected]:
    spot.ecs("DeregisterContainerInstance", containerInstance=spot.instance, force=True)
    return spot.expect_here("HOST_NOT_IN_ECS")


@injects("HOST_NOT_IN_SSM")
def host_not_in_ssm(spot: Spot) -> list[Expected]:
    spot.ssm("DeregisterManagedInstance", InstanceId=spot.node)
    return spot.expect_here("HOST_NOT_IN_SSM")


@injects("HOST_ELSEWHERE", alone=True)
def host_elsewhere(spot: Spot) -> list[Expected]:
    """Its agent was told another shop's cluster; the old instance was cleaned away."""
    old = spot.instance
    spot.box.ecs_agent.stop()
    spot.ecs("DeregisterContainerInstance", containerInstance=old, force=True)
    spot.box.memory.pop(STATE)
    spot.box.configure(store_id(spot.number + 1), spot.town.attributes(spot.box.spec), spot.tags)
    spot.box.ecs_agent.start()
    return spot.expect_here("HOST_ELSEWHERE")


@injects("HOST_DRAINING")
def host_draining(spot: Spot) -> list[Expected]:
    spot.ecs("UpdateContainerInstancesState", containerInstances=[spot.instance], status="DRAINING")
    return spot.expect_here("HOST_DRAINING")


@injects("CLOSED_STILL_REGISTERED", alone=True)
def closed_still_registered(spot: Spot) -> list[Expected]:
    for workload in WORKLOADS:
        spot.delete(workload)
    spot.town.stores(lifecycle=lambda number: "closed" if number == spot.number else "open")
    return spot.expect("CLOSED_STILL_REGISTERED")


@injects("NEVER_CONNECTED", fresh=True, lasts_s=30 * HOUR)
def never_connected(spot: Spot) -> list[Expected]:
    """Set up anew at a bench, and switched off a moment later."""
    node, instance = spot.node, spot.instance
    spot.ecs("DeregisterContainerInstance", containerInstance=instance, force=True)
    spot.ssm("DeregisterManagedInstance", InstanceId=node)
    spot.town.register(spot.box, spot.box.id, spot.tags, spot.store)
    spot.pass_by(60)
    spot.town.chain.cut(spot.box.id)
    return spot.expect_here("NEVER_CONNECTED")


# Connection.


@injects("SITE_DARK", whole=True)
def site_dark(spot: Spot) -> list[Expected]:
    spot.town.chain.cut(spot.store)
    return spot.expect("SITE_DARK")


@injects("HOST_DARK")
def host_dark(spot: Spot) -> list[Expected]:
    spot.town.chain.cut(spot.box.id)
    return spot.expect_here("HOST_DARK")


@injects("ECS_AGENT_DOWN")
def ecs_agent_down(spot: Spot) -> list[Expected]:
    spot.box.ecs_agent.stop()
    return spot.expect_here("ECS_AGENT_DOWN")


@injects("SSM_AGENT_DOWN", lasts_s=1500.0)
def ssm_agent_down(spot: Spot) -> list[Expected]:
    """Its credentials last for some time yet, so that the ECS agent is still there."""
    spot.box.ssm_agent.stop()
    return spot.expect_here("SSM_AGENT_DOWN")


@injects("UNSTEADY", alone=True)
def unsteady(spot: Spot) -> list[Expected]:
    """Away in some nights, and there in others."""
    for _ in range(3):
        spot.town.chain.cut(spot.box.id)
        spot.pass_by(2 * HOUR)
        spot.town.look()
        spot.town.chain.restore(spot.box.id)
        spot.pass_by(2 * HOUR)
        spot.town.look()
    return spot.expect_here("UNSTEADY")


@injects("CARRIER_DARK", alone=True)
def carrier_dark(spot: Spot) -> list[Expected]:
    """Every third shop is a customer of one carrier, and they all go within minutes."""
    count = spot.town.plan.stores
    spot.town.stores(link=lambda n: "kind=lte;carrier=" + ("other" if n % 3 else "acme"))
    gone = [number for number in range(count) if not number % 3]
    for number in gone:
        spot.town.chain.cut(store_id(number))
        spot.pass_by(60)
    return [Expected("CARRIER_DARK"), *(Expected("SITE_DARK", store_id(n)) for n in gone)]


# Identity.


@injects("TWIN")
def twin(spot: Spot) -> list[Expected]:
    """The agent lost its state, and registered once more."""
    spot.box.ecs_agent.stop()
    spot.box.memory.pop(STATE)
    spot.box.ecs_agent.start()
    return spot.expect_here("TWIN")


@injects("GHOST_INSTANCE")
def ghost_instance(spot: Spot) -> list[Expected]:
    """Registered anew; only SSM's old record was cleaned away."""
    old = spot.node
    spot.town.register(spot.box, spot.box.id, spot.tags, spot.store)
    spot.ssm("DeregisterManagedInstance", InstanceId=old)
    return spot.expect_here("GHOST_INSTANCE")


@injects("GHOST_NODE")
def ghost_node(spot: Spot) -> list[Expected]:
    """Registered anew; only ECS's old record was cleaned away."""
    old = spot.instance
    spot.town.register(spot.box, spot.box.id, spot.tags, spot.store)
    spot.ecs("DeregisterContainerInstance", containerInstance=old, force=True)
    return spot.expect_here("GHOST_NODE")


@injects("CLONE")
def clone(spot: Spot) -> list[Expected]:
    """A second box answers to the name."""
    copy = spot.town.box(spot.store, f"copy-of-{spot.name}", spot.number)
    spot.town.register(copy, spot.box.id, spot.tags, "")
    return spot.expect_here("CLONE")


@injects("FOREIGN_INSTANCE")
def foreign_instance(spot: Spot) -> list[Expected]:
    guest = spot.town.box(spot.store, f"guest-{spot.half}", spot.number)
    spot.town.register(guest, "somebody", {}, spot.store)
    return spot.expect("FOREIGN_INSTANCE")


@injects("FOREIGN_NODE")
def foreign_node(spot: Spot) -> list[Expected]:
    """It was a host of the shop, and is not in the inventory any more."""
    gone = f"{spot.store}/{spot.half}-9"
    box = spot.town.box(spot.store, f"{spot.half}-9", spot.number)
    spot.town.register(box, gone, {**spot.tags, "fleet:host": gone}, "")
    return [Expected("FOREIGN_NODE")]


# Attributes and tags.


@injects("ATTRIBUTES")
def attributes(spot: Spot) -> list[Expected]:
    spot.ecs(
        "PutAttributes",
        attributes=[
            {
                "name": "fleet.ring",
                "value": "by-hand",
                "targetType": "container-instance",
                "targetId": spot.instance,
            }
        ],
    )
    return spot.expect_here("ATTRIBUTES")


@injects("NODE_UNTAGGED")
def node_untagged(spot: Spot) -> list[Expected]:
    spot.ssm(
        "RemoveTagsFromResource",
        ResourceType="ManagedInstance",
        ResourceId=spot.node,
        TagKeys=["fleet:fleet"],
    )
    return spot.expect_here("NODE_UNTAGGED")


@injects("CLUSTER_TAGS", whole=True)
def cluster_tags(spot: Spot) -> list[Expected]:
    (cluster,) = spot.arn("DescribeClusters", clusters=[spot.store])["clusters"]
    spot.arn("UntagResource", resourceArn=cluster["clusterArn"], tagKeys=["fleet:store"])
    return spot.expect("CLUSTER_TAGS")


# Versions, of which the inventory says what is too old.


def _too_old(spot: Spot, code: str, what: str) -> list[Expected]:
    spot.town.drift(f'min_versions: {{{what}: "99.0"}}')
    return [
        Expected(code, store_id(number), name)
        for number in range(spot.town.plan.stores)
        for name in spot.town.plan.hosts
    ]


@injects("ECS_AGENT_OLD", alone=True)
def ecs_agent_old(spot: Spot) -> list[Expected]:
    return _too_old(spot, "ECS_AGENT_OLD", "ecs_agent")


@injects("SSM_AGENT_OLD", alone=True)
def ssm_agent_old(spot: Spot) -> list[Expected]:
    return _too_old(spot, "SSM_AGENT_OLD", "ssm_agent")


@injects("DOCKER_OLD", alone=True)
def docker_old(spot: Spot) -> list[Expected]:
    return _too_old(spot, "DOCKER_OLD", "docker")


# Activations and quotas.


@injects("ACTIVATION_OPEN", alone=True, lasts_s=30 * HOUR)
def activation_open(spot: Spot) -> list[Expected]:
    _activation(spot, 20 * 24 * HOUR)
    return [Expected("ACTIVATION_OPEN", spot.store, spot.name)]


@injects("ACTIVATION_EXPIRED", alone=True)
def activation_expired(spot: Spot) -> list[Expected]:
    _activation(spot, HOUR)
    return [Expected("ACTIVATION_EXPIRED", spot.store, spot.name)]


def _activation(spot: Spot, life_s: float) -> None:
    spot.ssm(
        "CreateActivation",
        IamRole="ecsAnywhereRole",
        DefaultInstanceName=spot.box.id,
        ExpirationDate=spot.town.clock.now() + life_s,
        Tags=[{"Key": key, "Value": value} for key, value in spot.tags.items()],
    )


@injects("SSM_TIER", alone=True)
def ssm_tier(spot: Spot) -> list[Expected]:
    spot.town.drift("tier_share: 0.2%")
    return [Expected("SSM_TIER")]


@injects("CLUSTERS_QUOTA", alone=True)
def clusters_quota(spot: Spot) -> list[Expected]:
    spot.town.drift(f"clusters: {spot.town.plan.stores}")
    return [Expected("CLUSTERS_QUOTA")]


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
    realm = spot.town.chain.plane._world.realm(spec.account_id, spec.region)
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
    spot.box.turn({"disk_free_mb": 700})
    return spot.expect_here("DISK_LOW")


@injects("HOT")
def hot(spot: Spot) -> list[Expected]:
    spot.box.turn({"temperature_c": 97.0})
    return spot.expect_here("HOT")


@injects("CLOCK_WRONG")
def clock_wrong(spot: Spot) -> list[Expected]:
    spot.box.turn({"clock_offset_s": 900.0})
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


def _container(spot: Spot) -> Container:
    return next(c for c in spot.box.containers.all(running=True) if c.image == spot.image)
