"""Which channels are told of a night."""

from fleet.model.night import Change, Night
from fleet.model.notify import Channel, When

_NEWS = frozenset({Change.NEW, Change.WORSE})


def is_due(channel: Channel, night: Night) -> bool:
    """Whether a night is worth a message to this channel.

    CHANGE means: something that matters to it is new, worse or resolved, or something could not be
    read. What else there is to know of a night counts too, that history was away for instance:
    without it nobody can say that nothing changed.
    """
    if channel.when is When.ALWAYS:
        return True
    if night.unread or night.notes:
        return True
    least = channel.least.rank
    return any(
        told.change in _NEWS and told.finding.severity.rank >= least for told in night.findings
    ) or any(row.finding.severity.rank >= least for row in night.resolved)
