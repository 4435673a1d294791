"""Holds a gate until the wave's good stores were read near the end of its bake.

A store that was good an hour ago, before the controller stopped or its credentials expired, says
nothing about a late failure. Such stores count as if they had no verdict until they are read. So
does one that is away, for too short to be dark: a release that cuts links begins like that.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from fleet.model.changes import Change
from fleet.model.gate import Gate, GateAnswer
from fleet.model.policy import Policy
from fleet.model.spans import moment
from fleet.model.verdicts import Stage, Verdict
from fleet.rollout.decide.patience import latest_step, settles_within
from fleet.rollout.decide.tick_state import TickState

#: Multiple of ``fresh_s`` between two ticks that counts as a gap; ticks of thousands take long.
GAP = 2


def restart_bake_after_gap(state: TickState, gate: Gate) -> None:
    """Extend a bake during which nothing was read up to now, so that the stores are read again.

    Only where the gate would pass: the patience of one that lacks verdicts counts from the same
    moment, and would begin anew at each wake that is further away than a gap.
    """
    rollout, policy = state.rollout, state.rollout.spec.policy
    since, last = rollout.baking_since, rollout.updated_at
    if gate.answer is not GateAnswer.ADVANCE or since is None or last is None:
        return
    if (state.now - last).total_seconds() <= GAP * policy.fresh_s:
        return
    begins = max(since, state.now - timedelta(seconds=policy.bake_s))
    state.rollout = replace(rollout, baking_since=begins)


def hold_until_read(
    state: TickState, rows: Sequence[Change], gate: Gate, variant_of: Callable[[Change], str]
) -> Gate:
    """Hold a gate that would pass while too few of its good stores were read lately.

    Coverage is asked for again, of the stores that were seen good within ``fresh_s`` of the bake's
    end or since. That moment is fixed, so that a wave of thousands, which takes longer to read,
    passes as well. After the policy's patience a person is asked.
    """
    policy, since = state.rollout.spec.policy, state.rollout.baking_since
    if gate.answer is not GateAnswer.ADVANCE or since is None:
        return gate
    ends = bake_ends(rows, since, policy)
    least = ends - timedelta(seconds=policy.fresh_s)
    for variant, count in gate.counts.items():
        good = [c for c in rows if variant_of(c) == variant and _is_good(c)]
        old = state.stores(c for c in good if c.looked_at and c.looked_at < least)
        away = state.stores(c for c in good if c.away_since is not None)
        doubtful = {*old, *away}
        known = count.ok + count.failed - len(doubtful)
        if not doubtful or known >= policy.coverage * count.sent:
            continue
        # The end of the bake moves with every gap; the latest send does not.
        latest = latest_step(state, rows) + settles_within(state, rows)
        waits_from = min(max(ends, state.patience_from), latest)
        asks_at = waits_from + timedelta(seconds=policy.patience_s)
        reason = f"{len(old)} of {count.ok} good stores were not read since {moment(least)}"
        if not old:
            reason = f"{len(away)} of {count.ok} good stores are away now"
        if state.now >= asks_at:
            return replace(gate, answer=GateAnswer.ASK, reason=f"{variant}: {reason}")
        reason = f"{variant}: {reason}; they are read before it goes on"
        return replace(gate, answer=GateAnswer.WAIT, reason=reason, again_at=asks_at)
    return gate


def bake_ends(rows: Iterable[Change], since: datetime, policy: Policy) -> datetime:
    """Return when a bake that began then is over; a late failure begins it anew, as for a gate."""
    late = (c.since for c in rows if c.verdict is Verdict.FAILED and c.since is not None)
    return max((since, *late)) + timedelta(seconds=policy.bake_s)


def _is_good(change: Change) -> bool:
    return change.stage is Stage.SENT and change.verdict is Verdict.OK
