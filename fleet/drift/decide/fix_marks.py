"""When may fleet's own marks be put right: attributes and tags of what is provably its own."""

from collections.abc import Mapping

from fleet.drift.decide.fix_question import (
    NOBODY,
    Answer,
    Question,
    another_fleet,
    pairs,
    proof,
    short,
)
from fleet.model.fixing import (
    Deed,
    DeleteAttributes,
    Left,
    PutAttributes,
    TagNode,
    TagResource,
)
from fleet.model.identity import (
    OWN_ATTRIBUTES,
    PLACEMENT_ATTRIBUTES,
    TAG_FLEET,
    declared_attributes,
    differing,
    host_tags,
)
from fleet.model.identity import (
    cluster_tags as tags_of_cluster,
)
from fleet.model.observed import ContainerInstance, ManagedInstance
from fleet.model.printable import printable


def attributes(ask: Question) -> Answer:
    """Set the attributes that the inventory declares, and remove others of fleet's names."""
    if ask.store is None or ask.host is None:
        return ask.left(NOBODY)
    instance = ask.instance(str(ask.finding.data["arn"]))
    if instance is None:
        return ask.left("the container instance is gone")
    declared = declared_attributes(ask.store, ask.host)
    put = differing(declared, instance.attributes)
    drop = tuple(
        sorted(n for n in instance.attributes if n.startswith(OWN_ATTRIBUTES) and n not in declared)
    )
    if not put and not drop:
        return ask.already("its attributes are as declared")
    node = ask.node(instance.managed_instance_id)
    why = _whose(ask, instance, node)
    if isinstance(why, Left):
        return why
    if PLACEMENT_ATTRIBUTES & {*put, *drop} and ask.seen.rollouts:
        return ask.left(f"services are placed by them, and {_held(ask)}")
    deeds: list[Deed] = []
    words = []
    if put:
        deeds.append(PutAttributes(instance.cluster, instance.arn, put))
        words.append(f"set {', '.join(f'{k}={v}' for k, v in sorted(put.items()))}")
    if drop:
        deeds.append(DeleteAttributes(instance.cluster, instance.arn, drop))
        words.append(f"remove {', '.join(drop)}")
    return ask.fix(printable("; ".join(words), limit=300), f"the inventory says so; {why}", *deeds)


def node_untagged(ask: Question) -> Answer:
    """Tag a host's node, where its container instance says whose it is."""
    if ask.host is None:
        return ask.left(NOBODY)
    node_id = str(ask.finding.data["node"])
    node = ask.node(node_id)
    if node is None or node.tags is None:
        return ask.left("SSM does not know the node any more")
    wanted = host_tags(ask.fleet.name, ask.host)
    lacking = differing(wanted, node.tags)
    if not lacking:
        return ask.already("the node carries the tags")
    if not lacking.keys().isdisjoint(node.tags):
        return ask.left(f"it is tagged as something else: {_shown(node.tags, lacking)}")
    # Its own tags are what is missing: only the container instance can speak for it.
    mine = [one for one in ask.seen.instances if one.managed_instance_id == node_id]
    said = [proof(one, None, ask.fleet.name, ask.host) for one in mine]
    if not mine or not all(said):
        return ask.left("no container instance of it says that it is this fleet's")
    return ask.fix(f"tag node {node_id}: {pairs(lacking)}", said[0], TagNode(node_id, lacking))


def cluster_tags(ask: Question) -> Answer:
    """Tag a store's cluster, where something in it says whose it is."""
    store, cluster = ask.store, ask.seen.cluster
    if store is None or cluster is None or cluster.status != "ACTIVE":
        return ask.left("the cluster is not ACTIVE any more")
    lacking = differing(tags_of_cluster(ask.fleet.name, store), cluster.tags)
    if not lacking:
        return ask.already("the cluster carries the tags")
    if not lacking.keys().isdisjoint(cluster.tags):
        return ask.left(f"it is tagged as something else: {_shown(cluster.tags, lacking)}")
    if cluster.tags.get(TAG_FLEET) == ask.fleet.name:
        why = "it carries this fleet's tag"
    else:
        hosts = {
            host.id: proof(one, None, ask.fleet.name, host)
            for host in store.hosts
            for one in ask.seen.instances
        }
        why = next((f"{said}" for said in hosts.values() if said), "")
    if not why:
        return ask.left("nothing in it says that it is this fleet's")
    return ask.fix(
        f"tag cluster {cluster.name}: {pairs(lacking)}", why, TagResource(cluster.arn, lacking)
    )


def service_untagged(ask: Question) -> Answer:
    """Put tags back on a service that runs what this fleet made."""
    data = ask.finding.data
    service = next((one for one in ask.seen.services if one.arn == data["arn"]), None)
    if service is None or service.status != "ACTIVE":
        return ask.left("the service is not ACTIVE any more")
    lacking = differing(data["tags"], service.tags)
    if not lacking:
        return ask.already("the service carries the tags")
    if ask.seen.rollouts:
        return ask.left(_held(ask))
    if service.task_definition != data["runs"]:
        return ask.left(f"it runs {short(service.task_definition)} now, another revision")
    whose = service.tags.get(TAG_FLEET)
    if whose is not None and whose != ask.fleet.name:
        return ask.left(f"it carries the tag of fleet {printable(whose, limit=80)}")
    return ask.fix(
        f"tag service {service.name}: {pairs(lacking)}",
        f"{short(service.task_definition)}, which it runs, was made by this fleet",
        TagResource(service.arn, lacking),
    )


def _whose(ask: Question, instance: ContainerInstance, node: ManagedInstance | None) -> str | Left:
    """What proves that an instance is the host's, in words; or that nothing does."""
    if ask.host is None:
        return ask.left(NOBODY)
    other = another_fleet(instance, node, ask.fleet.name)
    if other:
        return ask.left(f"it carries the tag of fleet {other}")
    said = proof(instance, node, ask.fleet.name, ask.host)
    return said or ask.left(f"nothing proves that it was made for {ask.host.id} of this fleet")


def _held(ask: Question) -> str:
    return f"{' and '.join(sorted(ask.seen.rollouts))} is under way in the store"


def _shown(tags: Mapping[str, str], names: Mapping[str, str]) -> str:
    return pairs({key: tags[key] for key in names if key in tags})
