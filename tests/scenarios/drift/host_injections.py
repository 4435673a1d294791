"""What can be wrong with the registration, connection and identity of hosts, and with accounts."""

from fleet.sandbox.agents.registration import STATE
from tests.scenarios.drift.injecting import Table
from tests.scenarios.drift.spots import Expected, Spot
from tests.scenarios.drift.town import HOUR, WORKLOADS, store_id

HOSTS = Table()
injects = HOSTS.enter


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
