"""Decides which channels are notified of a scan."""

from fleet.model.notify import Channel, When
from fleet.model.scan_result import FindingChange, ScanResult

_NEWS = frozenset({FindingChange.NEW, FindingChange.WORSE})


def is_due(channel: Channel, result: ScanResult) -> bool:
    """Tell whether a scan is worth a message to this channel.

    CHANGE means: something of the channel's severity is new, worse or resolved, or something could
    not be read, or the history is missing, so that nobody knows whether something changed. Notes,
    as of a host that reconnects just now, are in most nights and do not count.
    """
    if channel.when is When.ALWAYS:
        return True
    if result.unread or not result.recorded:
        return True
    least = channel.least.rank
    return any(
        entry.change in _NEWS and entry.finding.severity.rank >= least for entry in result.findings
    ) or any(row.finding.severity.rank >= least for row in result.resolved)
