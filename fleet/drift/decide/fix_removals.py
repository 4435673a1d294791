"""When may something be taken out of ECS or SSM: leftovers of a host that is connected beside them.

All of it rests on what is connected now: which of two lives is proved by nothing else. A container
instance with tasks is only taken where ECS would start none of them anew.
"""

from collections.abc import Sequence
from datetime import timedelta

from fleet.drift.decide.fix_question import (
    NOBODY,
    Answer,
    Question,
    another_fleet,
    claims,
    proof,
    short,
)
from fleet.drift.decide.spells import Pinged, pinged
from fleet.model.fixing import DeleteActivation, DeregisterInstance, DeregisterNode
from fleet.model.identity import TAG_FLEET
from fleet.model.observed import ContainerInstance, ManagedInstance, Ping
from fleet.model.printable import many
from fleet.model.services import ServiceState
from fleet.model.spans import moment, span

_DAEMON = "DAEMON"


def twin(ask: Question) -> Answer:
    """Deregister the other container instances of a node whose agent is connected as one."""
    data = ask.finding.data
    dead = [one for arn in data["arns"] if (one := ask.instance(arn)) is not None]
    if not dead:
        return ask.already("ECS has none of the others any more")
    keep = ask.instance(str(data["keep"]))
    if keep is None or not keep.agent_connected:
        return ask.left(f"{short(str(data['keep']))} is not connected now: which one lives?")
    if any(one.managed_instance_id != keep.managed_instance_id for one in dead):
        return ask.left("they are no longer of one node")
    deeds = []
    for one in dead:
        deed = _dropped(ask, one, keep)
        if isinstance(deed, str):
            return ask.left(deed)
        deeds.append(deed)
    names = " and ".join(short(one.arn) for one in dead)
    return ask.fix(
        f"deregister container instance {names}",
        f"the agent of {keep.managed_instance_id} is connected as {short(keep.arn)}, which is "
        f"newer; {_tasks_words(deeds)}",
        *deeds,
    )


def ghost_instance(ask: Question) -> Answer:
    """Deregister a container instance of an earlier node of a host."""
    if ask.host is None:
        return ask.left(NOBODY)
    dead = ask.instance(str(ask.finding.data["arn"]))
    if dead is None:
        return ask.already("ECS does not have it any more")
    keep = _connected(ask, but=dead.managed_instance_id)
    if keep is None:
        return ask.left(f"no other container instance of {ask.host.id} is connected now")
    node = ask.node(dead.managed_instance_id)
    if node is not None and not _is_lost(ask, node):
        return ask.left(f"its node {node.id} may still answer ({_ping_words(node)})")
    deed = _dropped(ask, dead, keep)
    if isinstance(deed, str):
        return ask.left(deed)
    return ask.fix(
        f"deregister container instance {short(dead.arn)}",
        f"{ask.host.id} is connected as {keep.managed_instance_id}; {_tasks_words([deed])}",
        deed,
    )


def ghost_node(ask: Question) -> Answer:
    """Deregister an earlier node of a host in SSM."""
    if ask.host is None:
        return ask.left(NOBODY)
    node_id = str(ask.finding.data["node"])
    node = ask.node(node_id)
    if node is None:
        return ask.already("SSM does not know it any more")
    if not claims(node.tags, ask.fleet.name, ask.host):
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
    return ask.fix(
        f"deregister node {node_id}",
        f"{_ping_words(node)}, and {ask.host.id} is connected as {keep.managed_instance_id}",
        DeregisterNode(node_id),
    )


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
    return ask.fix(
        f"delete activation {seen.id}",
        f"{why}; nodes that registered with it stay",
        DeleteActivation(seen.id),
    )


def _dropped(
    ask: Question, dead: ContainerInstance, keep: ContainerInstance
) -> DeregisterInstance | str:
    """How to deregister one beside the one that is kept; or why not."""
    name = short(dead.arn)
    if dead.agent_connected:
        return f"{name} is connected now"
    if not _is_newer(keep, [dead]):
        return f"{name} is not known to be older than {short(keep.arn)}, which is connected"
    if ask.host is None:
        return NOBODY
    node = ask.node(dead.managed_instance_id)
    other = another_fleet(dead, node, ask.fleet.name)
    if other:
        return f"{name} carries the tag of fleet {other}"
    if not proof(dead, node, ask.fleet.name, ask.host, tagged=True):
        return f"no tag proves that {name} was made for {ask.host.id} of this fleet"
    if not dead.running_tasks and not dead.pending_tasks:
        return DeregisterInstance(dead.cluster, dead.arn)
    missed = _missed(ask, dead)
    if missed:
        return missed
    return DeregisterInstance(dead.cluster, dead.arn, force=True)


def _missed(ask: Question, dead: ContainerInstance) -> str:
    """Which of its tasks ECS would start anew elsewhere; "" when it would start none."""
    name, services = short(dead.arn), {one.name: one for one in ask.seen.services}
    mine = [one for one in ask.seen.tasks if one.container_instance_arn == dead.arn]
    if len(mine) < dead.running_tasks + dead.pending_tasks:
        return f"its {many(dead.running_tasks + dead.pending_tasks, 'task')} could not be read"
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
    """Whether a service has all the tasks that it wants on instances that are connected."""
    alive = {one.arn for one in ask.seen.instances if one.agent_connected and one.arn != dead.arn}
    running = sum(
        one.service == service.name
        and one.container_instance_arn in alive
        and one.last_status == one.desired_status == "RUNNING"
        for one in ask.seen.tasks
    )
    if service.scheduling == _DAEMON:
        return running >= len(alive)
    return running >= service.desired


def _connected(ask: Question, *, but: str) -> ContainerInstance | None:
    """The newest container instance of the host that is connected, of another node than this."""
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
    """Whether it was certainly registered after all of them."""
    if not others:
        return True
    times = [one.registered_at for one in others]
    return keep.registered_at is not None and all(
        time is not None and time < keep.registered_at for time in times
    )


def _is_lost(ask: Question, node: ManagedInstance) -> bool:
    held = pinged(node, ask.seen.at, ask.fleet.drift.hold_s)
    return held is Pinged.LOST and node.ping is not Ping.ONLINE


def _tasks_words(deeds: Sequence[DeregisterInstance]) -> str:
    if any(deed.force for deed in deeds):
        return "its tasks run elsewhere too, as many as they should, or their service is gone"
    return "no task is on it"


def _ping_words(node: ManagedInstance) -> str:
    heard = f"last ping {moment(node.last_ping_at)}" if node.last_ping_at else "it never pinged"
    return f"{node.ping}, {heard}"
