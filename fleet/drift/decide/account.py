"""Reports what concerns an account and region: left activations, and quotas that are nearly used.

A registration makes its own activation and deletes it when it is done. An activation that is a day
old was left open by hand, or by a run that was killed.
"""

from datetime import datetime, timedelta

from fleet.drift.decide import host_codes, service_codes
from fleet.drift.decide.store_case import ShardCase
from fleet.model.drift import Evidence, Finding
from fleet.model.drift_settings import DriftSettings, Severity
from fleet.model.identity import TAG_FLEET
from fleet.model.inventory import Host
from fleet.model.observed import Activation, NotRead, Reading
from fleet.model.printable import printable
from fleet.model.services import revision
from fleet.model.spans import moment, span

#: Share of the quota of clusters that this fleet's own must take before all clusters are counted,
#: which costs a call per 100. Below it, other clusters would have to be as many as these.
COUNTED_FROM = 0.5
#: Share of the quota of revisions from which a family is reported.
NEAR = 0.9


def counts_clusters(own: int, settings: DriftSettings) -> bool:
    """Tell whether the clusters of others are counted: the quota is the account's."""
    return own >= COUNTED_FROM * settings.clusters


def of_activations(case: ShardCase) -> list[Finding]:
    """Report open and left activations; not those of other fleets or of stores out of scope."""
    activations, found = case.shard.activations, []
    if isinstance(activations, NotRead):
        return []
    for activation in activations.value:
        host = case.ledgers.hosts.get(activation.name)
        tagged = activation.tags.get(TAG_FLEET)
        if tagged != case.fleet.name and (tagged is not None or host is None):
            continue
        if host is not None and host.store not in case.shard.stores:
            continue
        found += _of_activation(case, activation, host, activations.at)
    return found


def _of_activation(
    case: ShardCase, activation: Activation, host: Host | None, at: datetime
) -> list[Finding]:
    used = f"{activation.count} of {activation.limit} used"
    until = moment(activation.expires_at)
    since: datetime | None
    if activation.expires_at <= at:
        kind, since = host_codes.ACTIVATION_EXPIRED, activation.expires_at
        words = f"expired {until} and was not deleted, {used}"
    elif activation.count < activation.limit and _is_open_long(case, activation, at):
        kind, since = host_codes.ACTIVATION_OPEN, activation.created_at
        age = f" for {span((at - since).total_seconds())}" if since is not None else ""
        words = f"has been open{age}, {used}: its code registers nodes until {until}"
    else:
        return []
    name = f'"{printable(activation.name, limit=80)}"' if activation.name else "without a name"
    return [
        case.found(
            kind,
            f"activation {activation.id} {name} {words}",
            Evidence("SSM", f"expires {until}, {used}", at),
            store=host.store if host else "",
            host=host.name if host else "",
            subject=activation.id,
            since=since,
            fix=case.aws(f"ssm delete-activation --activation-id {activation.id}"),
            # A name proves nothing: only the tag proves that it is ours to delete.
            sure=activation.tags.get(TAG_FLEET) == case.fleet.name,
            data={"activation": activation.id},
        )
    ]


def _is_open_long(case: ShardCase, activation: Activation, at: datetime) -> bool:
    """Decide by its age, or by the time that it will still be open where AWS gives no age."""
    limit = timedelta(seconds=case.background.settings.activation_open_s)
    if activation.created_at is not None:
        return at - activation.created_at >= limit
    return activation.expires_at - at > limit


def of_tier(case: ShardCase) -> list[Finding]:
    """Report an SSM tier whose nodes are nearly used up."""
    seen = case.shard.tier
    if seen is None or isinstance(seen, NotRead) or not seen.value.limit:
        return []
    tier, limit = seen.value, seen.value.limit
    if tier.nodes < case.background.settings.tier_share * limit:
        return []
    left = max(0, limit - tier.nodes)
    room = f"{left} more can be registered" if left else "no further host can be registered"
    change = "/ssm/managed-instance/activation-tier --setting-value advanced"
    return [
        case.found(
            host_codes.SSM_TIER,
            f"{tier.nodes} of {limit} nodes of the {tier.tier} tier are taken in {case.place}: "
            f"{room}",
            Evidence("SSM", f"{tier.nodes} nodes, tier {tier.tier}", seen.at),
            severity=None if left else Severity.HIGH,
            fix=(
                "deregister nodes that are gone, or accept the advanced tier's price for every "
                "node: ",
                case.aws(f"ssm update-service-setting --setting-id {change}"),
            ),
            data={"nodes": tier.nodes, "limit": limit, "tier": tier.tier},
        )
    ]


def of_clusters(case: ShardCase) -> list[Finding]:
    """Report clusters that come near their quota."""
    seen, quota = case.shard.clusters, case.background.settings.clusters
    if isinstance(seen, NotRead):
        return []
    own = sum(cluster.status != "INACTIVE" for cluster in seen.value.values())
    said = Evidence("ECS", f"{own} clusters of the inventory's stores", seen.at)
    count, whose = own, f"{own} clusters in {case.place} are this fleet's alone"
    counted = case.shard.cluster_count
    if isinstance(counted, Reading) and counted.value > own:
        count = counted.value
        whose = f"{count} clusters are in {case.place}, {own} of them this fleet's"
        said = Evidence("ECS", f"{count} clusters are listed", counted.at)
    if count < case.background.settings.tier_share * quota:
        return []
    return [
        case.found(
            host_codes.CLUSTERS_QUOTA,
            f"{whose}, and the quota is {quota}; beyond it no store can be registered",
            said,
            fix=case.aws("service-quotas list-service-quotas --service-code ecs", sends=False),
            data={"clusters": count, "own": own, "quota": quota},
        )
    ]


def of_revisions(case: ShardCase) -> list[Finding]:
    """Report families whose newest revision that runs comes near the quota."""
    quota = case.background.settings.revisions
    newest: dict[str, tuple[int, Evidence]] = {}
    for store in case.shard.stores.values():
        if not isinstance(store.services, Reading):
            continue
        for service in store.services.value:
            family, _, number = revision(service.task_definition).rpartition(":")
            count = int(number) if number.isdecimal() else 0
            if count >= NEAR * quota and count > newest.get(family, (0, None))[0]:
                said = Evidence("ECS", f"{store.store} runs {family}:{count}", store.services.at)
                newest[family] = count, said
    return [
        case.found(
            service_codes.REVISIONS_QUOTA,
            f"{family} has come to revision {count} of {quota} in {case.place}; "
            "ECS refuses new ones then",
            said,
            subject=family,
            fix=case.aws(
                f"ecs list-task-definitions --family-prefix {family} --sort DESC --max-items 5",
                sends=False,
            ),
            data={"family": family, "revision": count, "quota": quota},
        )
        for family, (count, said) in sorted(newest.items())
    ]
