"""Findings about hosts and accounts: registration, connection, leftovers, tags and quotas."""

from fleet.drift.decide import fix_rules
from fleet.drift.decide.finding_kinds import FindingKind, Need, Reread, SafeFix
from fleet.model.drift_settings import Severity

CLUSTER_MISSING = FindingKind(
    "CLUSTER_MISSING",
    Severity.HIGH,
    "an open store has no cluster",
    "The store is open, and ECS has no ACTIVE cluster of its name: it was never registered, or "
    "somebody deleted it. Nothing can be deployed there, and ECS does not see what runs on its "
    "hosts.",
    "Register the store; if it is not open yet, write `lifecycle: planned`.",
)
HOST_UNREGISTERED = FindingKind(
    "HOST_UNREGISTERED",
    Severity.HIGH,
    "a host of an open store is not registered",
    "Neither SSM nor ECS knows a host of the inventory. It was never registered, or both records "
    "were deleted. Nothing can be deployed to it.",
    "Register it, or take it out of the inventory.",
)
HOST_NOT_IN_ECS = FindingKind(
    "HOST_NOT_IN_ECS",
    Severity.HIGH,
    "SSM knows a host, ECS does not",
    "The host has a node in SSM, but its cluster has no container instance of it: registering "
    "broke off, or the container instance was deregistered. The agent does not register again by "
    "itself, so no task reaches the host.",
    "Register the host again: fleet does what is missing, or says what to clean up.",
)
HOST_NOT_IN_SSM = FindingKind(
    "HOST_NOT_IN_SSM",
    Severity.HIGH,
    "ECS knows a host whose node was deregistered in SSM",
    "The container instance is there, but SSM no longer knows its node. The agents get their "
    "credentials from SSM for an hour at a time, so the ECS agent disconnects soon, for good.",
    "Clear the host's vault and register it again.",
)
HOST_ELSEWHERE = FindingKind(
    "HOST_ELSEWHERE",
    Severity.HIGH,
    "a host is registered in another store's cluster",
    "The host's node has a container instance in another cluster of the account and region. It "
    "runs what that store should run, and its own store runs without it.",
    "Find out in which shop the box stands; then correct the inventory, or move the host.",
    needs=frozenset({Need.NAMED_CLUSTER}),
)
HOST_DRAINING = FindingKind(
    "HOST_DRAINING",
    Severity.MEDIUM,
    "a host takes no tasks",
    "Its container instance is not ACTIVE. DRAINING is set by a person before work on a host and "
    "stays until a person ends it. No task is placed there until then.",
    "When the work is over, set the container instance ACTIVE.",
)
CLOSED_STILL_REGISTERED = FindingKind(
    "CLOSED_STILL_REGISTERED",
    Severity.LOW,
    "a store that is not open has registered hosts",
    "The store is closed or planned, and ECS or SSM still has hosts of it. AWS bills every "
    "registered container instance by the hour, connected or not.",
    "Deregister the hosts of a closed store: in ECS first, then in SSM.",
)
NEVER_CONNECTED = FindingKind(
    "NEVER_CONNECTED",
    Severity.HIGH,
    "a registered host has never been connected",
    "The host was registered and fell silent within one ping, and no scan ever saw it connected. "
    "Most such boxes were set up at a bench and stand in the shop without power or network.",
    "Have the box plugged in at the shop; containers start once its agents connect.",
)

SITE_DARK = FindingKind(
    "SITE_DARK",
    Severity.HIGH,
    "no host of a store is connected",
    "SSM has lost every host of the store for longer than the hold time, and no ECS agent is "
    "connected: the shop's power, router or line is down. Containers keep running where there is "
    "power; one that exits, or a reboot, stays down until the connection is back. ECS shows their "
    "tasks as RUNNING all the time, which proves nothing.",
    "Call the shop: power, then router. There is nothing to do in AWS; the hosts catch up by "
    "themselves when they return.",
    needs=frozenset({Need.CONNECTION}),
)
HOST_DARK = FindingKind(
    "HOST_DARK",
    Severity.MEDIUM,
    "one host is dark while its store is not",
    "SSM has lost the host for longer than the hold time and its ECS agent is not connected, "
    "while other hosts of the store are. Its containers may keep running.",
    "Look at the box itself: power, network cable, operating system.",
    needs=frozenset({Need.CONNECTION}),
)
ECS_AGENT_DOWN = FindingKind(
    "ECS_AGENT_DOWN",
    Severity.HIGH,
    "SSM answers, the ECS agent does not",
    "The host pings SSM, but its ECS agent was disconnected in two looks minutes apart and did "
    "not reconnect between them. The agent or docker is down; no task can be started, stopped or "
    "seen there.",
    "Look at docker and the ECS agent through Run Command or on the host, and restart what is "
    "down.",
    needs=frozenset({Need.CONNECTION}),
)
SSM_AGENT_DOWN = FindingKind(
    "SSM_AGENT_DOWN",
    Severity.MEDIUM,
    "the ECS agent answers, SSM does not",
    "The ECS agent is connected, but the host has not pinged SSM for longer than the hold time. "
    "The credentials of both agents come from SSM and last an hour; then ECS disconnects too.",
    "Restart the SSM agent on the host.",
    needs=frozenset({Need.CONNECTION}),
)
UNSTEADY = FindingKind(
    "UNSTEADY",
    Severity.LOW,
    "a connected host was disconnected several times",
    "Scans of the last days found the host disconnected several times, and connected in between. "
    "It is connected now. If every host of the store is unsteady, the cause is its line.",
    "Compare with the carrier's other stores; have router, cabling and power checked.",
    needs=frozenset({Need.CONNECTED}),
)
CARRIER_DARK = FindingKind(
    "CARRIER_DARK",
    Severity.HIGH,
    "many stores of one carrier went dark together",
    "Several stores of one carrier, or of one kind of link where no carrier is named, went dark "
    "within the hour and are most of its stores, while most other stores are connected. It is "
    "reported in addition to the stores.",
    "Ask the carrier; do not send anybody to these shops before it has answered.",
)

TWIN = FindingKind(
    "TWIN",
    Severity.MEDIUM,
    "two container instances of one host",
    "One node is registered more than once in its cluster, because RegisterContainerInstance is "
    "not idempotent and an agent that lost its state registers anew. Only one of them can be the "
    "agent's; the tasks of the other stay RUNNING in ECS.",
    "Deregister the ones that no agent is connected to.",
    fix=SafeFix(Reread.DEAD_INSTANCES, fix_rules.twin),
)
GHOST_INSTANCE = FindingKind(
    "GHOST_INSTANCE",
    Severity.LOW,
    "a container instance left behind by an earlier registration",
    "The cluster has the host's container instance and one of an earlier node, which no agent is "
    "connected to. It is billed, and its tasks stay RUNNING in ECS.",
    "Deregister it.",
    fix=SafeFix(Reread.DEAD_INSTANCES, fix_rules.ghost_instance),
)
GHOST_NODE = FindingKind(
    "GHOST_NODE",
    Severity.LOW,
    "a node left behind by an earlier registration",
    "SSM has an older node of the host's name, which is not online, beside the one in use. It "
    "counts towards the tier's limit.",
    "Deregister it in SSM.",
    fix=SafeFix(Reread.NODE, fix_rules.ghost_node),
)
CLONE = FindingKind(
    "CLONE",
    Severity.HIGH,
    "two hosts claim one identity",
    "Two boxes have the same node id or machine id, or answer under one name: one was made from "
    "an image of the other. SSM lets only one of them connect at a time, and both claim one "
    "container instance.",
    "Give the copy a machine id of its own, clear its vault and its agent's state, and register "
    "it.",
    needs=frozenset({Need.NAMED_HOSTS}),
)
FOREIGN_INSTANCE = FindingKind(
    "FOREIGN_INSTANCE",
    Severity.MEDIUM,
    "a container instance of no host of the inventory",
    "A store's cluster has a container instance that belongs to none of the store's hosts. "
    "Services of the store may be placed on it.",
    "Find out whose it is; add it to the inventory or deregister it.",
)
FOREIGN_NODE = FindingKind(
    "FOREIGN_NODE",
    Severity.LOW,
    "a node of ours that is no host of the inventory",
    "SSM has a node that carries this fleet's tag, or is named like a host of one of its stores, "
    "and the inventory has no such host. It was taken out of the inventory without being "
    "deregistered.",
    "Deregister it, or put it back into the inventory.",
)

ATTRIBUTES = FindingKind(
    "ATTRIBUTES",
    Severity.LOW,
    "attributes of a container instance are not as declared",
    "Custom attributes that the inventory declares are missing or differ, or one that fleet set "
    "is left over. Services are placed by `fleet.variant` and `fleet.accelerator`: if those are "
    "wrong, tasks go to the wrong boxes or nowhere, and the finding is medium.",
    "Put the declared attributes.",
    fix=SafeFix(Reread.INSTANCE, fix_rules.attributes),
)
NODE_UNTAGGED = FindingKind(
    "NODE_UNTAGGED",
    Severity.LOW,
    "a host's node lacks the fleet's tag",
    "ECS names the node as the host's, but SSM does not list it among those with the fleet's tag. "
    "Commands that select by tag, and policies scoped by it, miss the node.",
    "Tag the node.",
    fix=SafeFix(Reread.NODE, fix_rules.node_untagged),
)
CLUSTER_TAGS = FindingKind(
    "CLUSTER_TAGS",
    Severity.LOW,
    "a store's cluster lacks the fleet's tags",
    "The cluster's tags do not say which fleet and which store it belongs to. Bills and policies "
    "that use them are wrong.",
    "Tag the cluster.",
    fix=SafeFix(Reread.CLUSTER, fix_rules.cluster_untagged),
)

ECS_AGENT_OLD = FindingKind(
    "ECS_AGENT_OLD",
    Severity.LOW,
    "the ECS agent is older than the minimum version",
    "The agent that a host last connected with is older than `drift.min_versions` asks for. ECS "
    "cannot upgrade agents of external instances: the package on the host is upgraded.",
    "Upgrade amazon-ecs-init on the host; running tasks are not interrupted.",
)
SSM_AGENT_OLD = FindingKind(
    "SSM_AGENT_OLD",
    Severity.LOW,
    "the SSM agent is older than the minimum version",
    "SSM shows an older agent than `drift.min_versions` asks for.",
    "Upgrade it through Run Command.",
)
DOCKER_OLD = FindingKind(
    "DOCKER_OLD",
    Severity.LOW,
    "docker is older than the minimum version",
    "The ECS agent reports an older docker than `drift.min_versions` asks for.",
    "Upgrade docker in the store's window: it restarts the containers.",
)

ACTIVATION_OPEN = FindingKind(
    "ACTIVATION_OPEN",
    Severity.MEDIUM,
    "an activation can still be used",
    "An activation of this fleet has room left and has not expired, for longer than fleet ever "
    "leaves one open. Anybody with its code can register a node in the account.",
    "Delete it; a registration that still needs one makes its own.",
    fix=SafeFix(Reread.ACTIVATION, fix_rules.activation),
)
ACTIVATION_EXPIRED = FindingKind(
    "ACTIVATION_EXPIRED",
    Severity.INFO,
    "an activation is left over",
    "An activation of this fleet has expired or is used up, and was not deleted. Nobody can use "
    "it.",
    "Delete it.",
    fix=SafeFix(Reread.ACTIVATION, fix_rules.activation),
)
SSM_TIER = FindingKind(
    "SSM_TIER",
    Severity.MEDIUM,
    "the SSM standard tier is nearly full",
    "The standard tier holds 1,000 hybrid nodes per account and region, of all fleets together. "
    "Beyond that no host can be registered. The advanced tier is one switch, and is paid for "
    "every node.",
    "Deregister nodes that are gone, choose the advanced tier, or use another account.",
)
CLUSTERS_QUOTA = FindingKind(
    "CLUSTERS_QUOTA",
    Severity.MEDIUM,
    "the account's clusters come near their quota",
    "Every store has a cluster, and ECS limits the clusters per account and region, whoever owns "
    "them. Their number comes near `drift.clusters`. Clusters of others are counted once this "
    "fleet's own take half of it.",
    "Have the quota raised in time (Service Quotas, Amazon ECS, Clusters per account).",
)
