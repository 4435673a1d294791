"""Decides which channels are notified of a scan."""

from fleet.model.night import Change, Night
from fleet.model.notify import Channel, When

_NEWS = frozenset({Change.NEW, Change.WORSE})


def is_due(channel: Channel, night: Night) -> bool:
    """Tell whether a night is worth a message to this channel.

    CHANGE means: something of the channel's severity is new, worse or resolved, or something could
    not be read, or the history is missing, so that nobody knows whether something changed. Notes,
    as of a host that reconnects just now, are in most nights and do not count.
    """
    if channel.when is When.ALWAYS:
        return True
    if night.unread or not night.recorded:
        return True
    least = channel.least.rank
    return any(
        told.change in _NEWS and told.finding.severity.rank >= least for told in night.findings
    ) or any(row.finding.severity.rank >= least for row in night.resolved)
