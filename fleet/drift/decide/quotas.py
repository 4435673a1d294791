"""How near an account and region is to limits that keep further stores out."""

from fleet.drift.decide import host_codes as codes
from fleet.drift.decide.shard_case import ShardCase
from fleet.model.drift import Evidence, Finding
from fleet.model.drift_settings import DriftSettings, Severity
from fleet.model.observed import NotRead, Reading

#: Share of the quota that this fleet's own clusters take before all are counted, which is a call
#: per 100: as long as they are fewer, somebody else would have to have as many.
COUNTED_FROM = 0.5


def counts_clusters(own: int, settings: DriftSettings) -> bool:
    """Whether the clusters of others matter: the quota is the account's and not the fleet's."""
    return own >= COUNTED_FROM * settings.clusters


def of_shard(case: ShardCase) -> list[Finding]:
    """The SSM tier's nodes and ECS's clusters, from the inventory's share of the limit on."""
    return [*_tier(case), *_clusters(case)]


def _tier(case: ShardCase) -> list[Finding]:
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
            codes.SSM_TIER,
            f"{tier.nodes} of {limit} nodes of the {tier.tier} tier are taken in {case.place}: "
            f"{room}",
            Evidence("SSM", f"{tier.nodes} nodes, tier {tier.tier}", seen.at),
            severity=None if left else Severity.HIGH,
            fix="deregister nodes that are gone, or accept the advanced tier's price for every "
            f"node: {case.aws(f'ssm update-service-setting --setting-id {change}')}",
            data={"nodes": tier.nodes, "limit": limit, "tier": tier.tier},
        )
    ]


def _clusters(case: ShardCase) -> list[Finding]:
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
            codes.CLUSTERS_QUOTA,
            f"{whose}, and the quota is {quota}; beyond it no store can be registered",
            said,
            fix=case.aws("service-quotas list-service-quotas --service-code ecs"),
            data={"clusters": count, "own": own, "quota": quota},
        )
    ]
