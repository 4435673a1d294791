"""Activations of this fleet that nobody needs any more, in one account and region.

A registration makes its own and deletes it when it is done, so that whatever is a day old was left
open by hand or by a run that was killed.
"""

from dataclasses import replace
from datetime import datetime, timedelta

from fleet.drift.decide import host_codes as codes
from fleet.drift.decide.shard_case import ShardCase
from fleet.model.drift import Evidence, Finding
from fleet.model.identity import TAG_FLEET
from fleet.model.inventory import Host
from fleet.model.observed import Activation, NotRead
from fleet.model.printable import printable
from fleet.model.spans import moment, span


def of_shard(case: ShardCase) -> list[Finding]:
    """Open ones and leftovers; those of other fleets, and of stores out of scope, are let be."""
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
        finding = _judged(case, activation, host, activations.at)
        if finding is not None:
            # A name proves nothing: only the tag says that it is ours to delete.
            safe = finding.safe and tagged == case.fleet.name
            found.append(replace(finding, safe=safe))
    return found


def _judged(
    case: ShardCase, activation: Activation, host: Host | None, at: datetime
) -> Finding | None:
    used = f"{activation.count} of {activation.limit} used"
    until = moment(activation.expires_at)
    since: datetime | None
    if activation.expires_at <= at:
        entry, since = codes.ACTIVATION_EXPIRED, activation.expires_at
        words = f"expired {until} and was not deleted, {used}"
    elif activation.count < activation.limit and _is_open_long(case, activation, at):
        entry, since = codes.ACTIVATION_OPEN, activation.created_at
        age = f" for {span((at - since).total_seconds())}" if since is not None else ""
        words = f"has been open{age}, {used}: its code registers nodes until {until}"
    else:
        return None
    name = f'"{printable(activation.name, limit=80)}"' if activation.name else "without a name"
    return case.found(
        entry,
        f"activation {activation.id} {name} {words}",
        Evidence("SSM", f"expires {until}, {used}", at),
        host=host,
        subject=activation.id,
        since=since,
        fix=case.aws(f"ssm delete-activation --activation-id {activation.id}"),
        data={"activation": activation.id},
    )


def _is_open_long(case: ShardCase, activation: Activation, at: datetime) -> bool:
    """By its age; where AWS does not tell that, by the time that it will still be open."""
    limit = timedelta(seconds=case.background.settings.activation_open_s)
    if activation.created_at is not None:
        return at - activation.created_at >= limit
    return activation.expires_at - at > limit
