"""Which channels are told of a night."""

from fleet.model.night import Change, Night
from fleet.model.notify import Channel, When

_NEWS = frozenset({Change.NEW, Change.WORSE})


def is_due(channel: Channel, night: Night) -> bool:
    """Whether a night is worth a message to this channel.

    CHANGE means: something that matters to it is new, worse or resolved, or something could not be
    read. So does a night without its history: nobody can say that nothing changed. What else is
    noted, as a host that reconnects just now, is so in most nights and no news.
    """
    if channel.when is When.ALWAYS:
        return True
    if night.unread or not night.recorded:
        return True
    least = channel.least.rank
    return any(
        told.change in _NEWS and told.finding.severity.rank >= least for told in night.findings
    ) or any(row.finding.severity.rank >= least for row in night.resolved)
