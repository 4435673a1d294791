"""Which findings may be fixed by themselves, and by which rule.

Nothing here starts, stops or updates tasks or services, and nothing is touched that does not say of
itself that it is this fleet's. The rules are asked twice: for the plan, and right before the deed.
"""

from collections.abc import Callable, Mapping

from fleet.decide import fix_marks, fix_removals
from fleet.decide.fix_question import Answer, Question
from fleet.model.drift import Finding
from fleet.model.fixing import Seen
from fleet.model.inventory import Fleet

#: Every code that ``--fix`` may fix.
RULES: Mapping[str, Callable[[Question], Answer]] = {
    "TWIN": fix_removals.twin,
    "GHOST_INSTANCE": fix_removals.ghost_instance,
    "GHOST_NODE": fix_removals.ghost_node,
    "ATTRIBUTES": fix_marks.attributes,
    "NODE_UNTAGGED": fix_marks.node_untagged,
    "CLUSTER_TAGS": fix_marks.cluster_tags,
    "SERVICE_UNTAGGED": fix_marks.service_untagged,
    "ACTIVATION_OPEN": fix_removals.activation,
    "ACTIVATION_EXPIRED": fix_removals.activation,
}


def answer_of(finding: Finding, seen: Seen, fleet: Fleet) -> Answer:
    """What may be done about a finding of a code in ``RULES``, by what AWS says now."""
    store = next((one for one in fleet.stores if one.id == finding.store), None)
    hosts = store.hosts if store is not None else ()
    host = next((one for one in hosts if one.name == finding.host), None)
    return RULES[finding.code](Question(finding, fleet, store, host, seen))
