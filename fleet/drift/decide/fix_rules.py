"""Decides whether one finding may be fixed by itself: attributes, tags and leftovers.

Tags and attributes are put right only on what provably belongs to this fleet. Something is taken
out of ECS or SSM only beside a container instance that is connected now, because nothing else
proves which of the two is in use; one with tasks only if ECS would start none of them anew.
"""

from collections.abc import Mapping, Sequence
from datetime import timedelta

from fleet.drift.decide.finding_kinds import Answer, Question
from fleet.drift.decide.host_connection import Pinged, pinged
from fleet.model.fixing import (
    Deed,
    DeleteAttributes,
    DeregisterInstance,
    DeregisterNode,
    RemoveActivation,
    RepairAttributes,
    RepairNodeTags,
    TagResource,
)
from fleet.model.identity import (
    HOST_ATTRIBUTE,
    OWN_ATTRIBUTES,
    PLACEMENT_ATTRIBUTES,
    STORE_ATTRIBUTE,
    TAG_FLEET,
    cluster_tags,
    declared_attributes,
    differing,
    host_tags,
    is_ours,
)
from fleet.model.inventory import Host
from fleet.model.observed import ContainerInstance, ManagedInstance, Ping
from fleet.model.printable import many, printable
from fleet.model.services import ServiceState
from fleet.model.spans import moment, span

#: Why something is left whose host is not in the inventory any more.
NOBODY = "the inventory does not name its host"


def attributes(ask: Question) -> Answer:
    """Set the attributes that the inventory declares, and remove others of fleet's names."""
    if ask.store is None or ask.host is None:
        return ask.left(NOBODY)
    instance = ask.instance(ask.finding.resources.arn)
    if instance is None:
        return ask.left("the container instance is gone")
    declared, seen = declared_attributes(ask.store, ask.host), instance.attributes
    put = differing(declared, seen)
    drop = tuple(sorted(n for n in seen if n.startswith(OWN_ATTRIBUTES) and n not in declared))
    if not put and not drop:
        return ask.already("its attributes are as declared")
    node = ask.node(instance.managed_instance_id)
    other = another_fleet(instance, node, ask.fleet.name)
    if other:
        return ask.left(f"it carries the tag of fleet {other}")
    why = proof(instance, node, ask.fleet.name, ask.host)
    if not why:
        return ask.left(f"nothing proves that it was made for {ask.host.id} of this fleet")
    if PLACEMENT_ATTRIBUTES & {*put, *drop} and ask.seen.rollouts:
        return ask.left(f"services are placed by them, and {_rollouts(ask)}")
    deeds: list[Deed] = []
    words = []
    if put:
        deeds.append(RepairAttributes(instance.cluster, instance.arn, put))
        words.append(f"set {', '.join(f'{k}={v}' for k, v in sorted(put.items()))}")
    if drop:
        deeds.append(DeleteAttributes(instance.cluster, instance.arn, drop))
        words.append(f"remove {', '.join(drop)}")
    return ask.fix(printable("; ".join(words), limit=300), f"the inventory says so; {why}", *deeds)


def node_untagged(ask: Question) -> Answer:
    """Tag a host's node, where its container instance says whose it is."""
    if ask.host is None:
        return ask.left(NOBODY)
    node_id = ask.finding.resources.node
    node = ask.node(node_id)
    if node is None or node.tags is None:
        return ask.left("SSM does not know the node any more")
    lacking = _lacking(ask, "node", host_tags(ask.fleet.name, ask.host), node.tags)
    if not isinstance(lacking, dict):
        return lacking
    # Its own tags are what is missing: only the container instance can prove whose it is.
    mine = [one for one in ask.seen.instances if one.managed_instance_id == node_id]
    said = [proof(one, None, ask.fleet.name, ask.host) for one in mine]
    if not mine or not all(said):
        return ask.left("no container instance of it says that it is this fleet's")
    return ask.fix(
        f"tag node {node_id}: {_pairs(lacking)}", said[0], RepairNodeTags(node_id, lacking)
    )


def cluster_untagged(ask: Question) -> Answer:
    """Tag a store's cluster, where something in it says whose it is."""
    store, cluster = ask.store, ask.seen.cluster
    if store is None or cluster is None or cluster.status != "ACTIVE":
        return ask.left("the cluster is not ACTIVE any more")
    lacking = _lacking(ask, "cluster", cluster_tags(ask.fleet.name, store), cluster.tags)
    if not isinstance(lacking, dict):
        return lacking
    why = "it carries this fleet's tag"
    if cluster.tags.get(TAG_FLEET) != ask.fleet.name:
        said = [
            proof(one, None, ask.fleet.name, host)
            for host in store.hosts
            for one in ask.seen.instances
        ]
        why = next(filter(None, said), "")
    if not why:
        return ask.left("nothing in it says that it is this fleet's")
    what = f"tag cluster {cluster.name}: {_pairs(lacking)}"
    return ask.fix(what, why, TagResource(cluster.arn, lacking))


def service_untagged(ask: Question) -> Answer:
    """Put tags back on a service that runs what this fleet made."""
    named = ask.finding.resources
    service = next((one for one in ask.seen.services if one.arn == named.arn), None)
    if service is None or service.status != "ACTIVE":
        return ask.left("the service is not ACTIVE any more")
    lacking = differing(named.tags, service.tags)
    if not lacking:
        return ask.already("the service carries the tags")
    if ask.seen.rollouts:
        return ask.left(_rollouts(ask))
    if service.task_definition != named.runs:
        return ask.left(f"it runs {_short(service.task_definition)} now, another revision")
    whose = service.tags.get(TAG_FLEET)
    if whose is not None and whose != ask.fleet.name:
        return ask.left(f"it carries the tag of fleet {printable(whose, limit=80)}")
    return ask.fix(
        f"tag service {service.name}: {_pairs(lacking)}",
        f"{_short(service.task_definition)}, which it runs, was made by this fleet",
        TagResource(service.arn, lacking),
    )


def _lacking(
    ask: Question, what: str, wanted: Mapping[str, str], seen: Mapping[str, str]
) -> dict[str, str] | Answer:
    """Return the tags to be set, unless there are none or others stand in their place."""
    lacking = differing(wanted, seen)
    if not lacking:
        return ask.already(f"the {what} carries the tags")
    others = {key: seen[key] for key in lacking if key in seen}
    return ask.left(f"it is tagged as something else: {_pairs(others)}") if others else lacking


def _rollouts(ask: Question) -> str:
    return f"{' and '.join(sorted(ask.seen.rollouts))} is under way in the store"


def _pairs(tags: Mapping[str, str]) -> str:
    return printable(", ".join(f"{key}={text}" for key, text in sorted(tags.items())), limit=300)


def _short(arn: str) -> str:
    return arn.rsplit("/", 1)[-1]


def twin(ask: Question) -> Answer:
    """Deregister the other container instances of a node whose agent is connected as one."""
    named = ask.finding.resources
    dead = [one for arn in named.arns if (one := ask.instance(arn)) is not None]
    if not dead:
        return ask.already("ECS has none of the others any more")
    keep = ask.instance(named.keep)
    if keep is None or not keep.agent_connected:
        return ask.left(f"{_short(named.keep)} is not connected now: which one lives?")
    if any(one.managed_instance_id != keep.managed_instance_id for one in dead):
        return ask.left("they are no longer of one node")
    connected = f"the agent of {keep.managed_instance_id} is connected as {_short(keep.arn)}"
    return _deregister(ask, dead, keep, f"{connected}, which is newer")


def ghost_instance(ask: Question) -> Answer:
    """Deregister a container instance of an earlier node of a host."""
    if ask.host is None:
        return ask.left(NOBODY)
    dead = ask.instance(ask.finding.resources.arn)
    if dead is None:
        return ask.already("ECS does not have it any more")
    keep = _connected(ask, but=dead.managed_instance_id)
    if keep is None:
        return ask.left(f"no other container instance of {ask.host.id} is connected now")
    node = ask.node(dead.managed_instance_id)
    if node is not None and not _is_lost(ask, node):
        return ask.left(f"its node {node.id} may still answer ({_ping_words(node)})")
    return _deregister(
        ask, [dead], keep, f"{ask.host.id} is connected as {keep.managed_instance_id}"
    )


def ghost_node(ask: Question) -> Answer:
    """Deregister an earlier node of a host in SSM."""
    if ask.host is None:
        return ask.left(NOBODY)
    node_id = ask.finding.resources.node
    node = ask.node(node_id)
    if node is None:
        return ask.already("SSM does not know it any more")
    if not is_ours(node.tags, ask.fleet.name, ask.host):
        return ask.left(f"its tags do not say that it was made for {ask.host.id} of this fleet")
    if not _is_lost(ask, node):
        return ask.left(f"it may still answer ({_ping_words(node)})")
    mine = [one for one in ask.seen.instances if one.managed_instance_id == node_id]
    if any(one.agent_connected for one in mine):
        return ask.left("a container instance of it is connected")
    keep = _connected(ask, but=node_id)
    if keep is None:
        return ask.left(f"no other node of {ask.host.id} is connected now")
    if not _is_newer(keep, mine):
        return ask.left("it has the newest container instance of the host")
    why = f"{_ping_words(node)}, and {ask.host.id} is connected as {keep.managed_instance_id}"
    return ask.fix(f"deregister node {node_id}", why, DeregisterNode(node_id))


def activation(ask: Question) -> Answer:
    """Delete an activation of ours that no registration needs any more."""
    seen = ask.seen.activation
    if seen is None:
        return ask.already("SSM does not know it any more")
    if seen.tags.get(TAG_FLEET) != ask.fleet.name:
        return ask.left("its tags do not say that it is this fleet's")
    limit = timedelta(seconds=ask.fleet.drift.activation_open_s)
    if seen.expires_at <= ask.seen.at:
        why = f"it expired {moment(seen.expires_at)}"
    elif seen.created_at is not None and ask.seen.at - seen.created_at >= limit:
        age = span((ask.seen.at - seen.created_at).total_seconds())
        why = f"it has been open for {age}, and a registration's own is deleted within the hour"
    else:
        return ask.left("it is not known to be older than a registration takes")
    why += "; nodes that registered with it stay"
    return ask.fix(f"delete activation {seen.id}", why, RemoveActivation(seen.id))


def _deregister(
    ask: Question, dead: Sequence[ContainerInstance], keep: ContainerInstance, why: str
) -> Answer:
    """Deregister instances beside the one that is kept, if every one of them may go."""
    reasons = [reason for one in dead if (reason := _kept_because(ask, one, keep))]
    if reasons:
        return ask.left(reasons[0])
    forced = [bool(one.running_tasks or one.pending_tasks) for one in dead]
    tasks = "no task is on it"
    if any(forced):
        tasks = "its tasks run elsewhere too, as many as they should, or their service is gone"
    return ask.fix(
        f"deregister container instance {' and '.join(_short(one.arn) for one in dead)}",
        f"{why}; {tasks}",
        *(
            DeregisterInstance(one.cluster, one.arn, force=force)
            for one, force in zip(dead, forced, strict=True)
        ),
    )


def _kept_because(ask: Question, dead: ContainerInstance, keep: ContainerInstance) -> str:
    """Return why an instance must not be deregistered beside another; "" when it may be."""
    name = _short(dead.arn)
    if dead.agent_connected:
        return f"{name} is connected now"
    if not _is_newer(keep, [dead]):
        return f"{name} is not known to be older than {_short(keep.arn)}, which is connected"
    if ask.host is None:
        return NOBODY
    node = ask.node(dead.managed_instance_id)
    other = another_fleet(dead, node, ask.fleet.name)
    if other:
        return f"{name} carries the tag of fleet {other}"
    if not proof(dead, node, ask.fleet.name, ask.host, tagged=True):
        return f"no tag proves that {name} was made for {ask.host.id} of this fleet"
    return _restarted_tasks(ask, dead)


def _restarted_tasks(ask: Question, dead: ContainerInstance) -> str:
    """Return which of its tasks ECS would start anew elsewhere; "" when it would start none."""
    name, services = _short(dead.arn), {one.name: one for one in ask.seen.services}
    count = dead.running_tasks + dead.pending_tasks
    if not count:
        return ""
    mine = [one for one in ask.seen.tasks if one.container_instance_arn == dead.arn]
    if len(mine) < count:
        return f"its {many(count, 'task')} could not be read"
    for service in sorted({one.service for one in mine}):
        found = services.get(service)
        if not service or (found is not None and not _has_others(ask, dead, found)):
            whose = f"of {service}" if service else "of no service"
            return (
                f"a task {whose} is shown as running on {name}; ECS would start it anew on the "
                "host that is connected, and a person decides about tasks"
            )
    return ""


def _has_others(ask: Question, dead: ContainerInstance, service: ServiceState) -> bool:
    """Tell whether a service has all the tasks that it wants on connected instances."""
    alive = {one.arn for one in ask.seen.instances if one.agent_connected and one.arn != dead.arn}
    running = sum(
        one.service == service.name
        and one.container_instance_arn in alive
        and one.last_status == one.desired_status == "RUNNING"
        for one in ask.seen.tasks
    )
    return running >= (len(alive) if service.scheduling == "DAEMON" else service.desired)


def _connected(ask: Question, *, but: str) -> ContainerInstance | None:
    """Return the newest connected container instance of the host, of another node than this."""
    host = ask.host
    found = [
        one
        for one in ask.seen.instances
        if host is not None
        and one.agent_connected
        and one.status == "ACTIVE"
        and one.managed_instance_id not in {"", but}
        and proof(one, ask.node(one.managed_instance_id), ask.fleet.name, host)
    ]
    return max(found, key=_age, default=None)


def _age(one: ContainerInstance) -> float:
    return one.registered_at.timestamp() if one.registered_at else 0.0


def _is_newer(keep: ContainerInstance, others: Sequence[ContainerInstance]) -> bool:
    """Tell whether it was certainly registered after all of them."""
    if not others:
        return True
    times = [one.registered_at for one in others]
    return keep.registered_at is not None and all(
        time is not None and time < keep.registered_at for time in times
    )


def _is_lost(ask: Question, node: ManagedInstance) -> bool:
    held = pinged(node, ask.seen.at, ask.fleet.drift.hold_s)
    return held is Pinged.LOST and node.ping is not Ping.ONLINE


def _ping_words(node: ManagedInstance) -> str:
    heard = f"last ping {moment(node.last_ping_at)}" if node.last_ping_at else "it never pinged"
    return f"{node.ping}, {heard}"


def proof(
    instance: ContainerInstance,
    node: ManagedInstance | None,
    fleet_name: str,
    host: Host,
    *,
    tagged: bool = False,
) -> str:
    """Return what proves that a container instance is this host's; "" when nothing does.

    Args:
        node: its node with its tags, as far as SSM knows it and its tags were read.
        tagged: only tags count: they name the fleet, which attributes do not.
    """
    if another_fleet(instance, node, fleet_name):
        return ""
    if is_ours(instance.tags, fleet_name, host):
        return f"its container instance carries the tags of {host.id}"
    if node is not None and is_ours(node.tags, fleet_name, host):
        return f"its node carries the tags of {host.id}"
    said = instance.attributes.get(STORE_ATTRIBUTE), instance.attributes.get(HOST_ATTRIBUTE)
    if not tagged and said == (host.store, host.name):
        return f"its attributes say that it is {host.id}"
    return ""


def another_fleet(
    instance: ContainerInstance, node: ManagedInstance | None, fleet_name: str
) -> str:
    """Return the name of another fleet whose tag an instance or its node carries; ""."""
    for tags in (instance.tags, node.tags if node is not None else None):
        whose = (tags or {}).get(TAG_FLEET)
        if whose is not None and whose != fleet_name:
            return printable(whose, limit=80) or '""'
    return ""
