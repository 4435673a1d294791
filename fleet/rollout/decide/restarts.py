"""Makes restarts on hosts part of the verdict: whose are read, when, and what follows.

The ECS agent starts a container again that has lived for ``restartAttemptPeriod``, and its task
stays RUNNING, so that a shop survives a crash while it is offline. A release that crashes slowly
would pass every gate by that. The restarts of the canary's stores and of a sample of every wave are
therefore read when a store is ok, and once more when its wave has baked.
"""

import hashlib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import lru_cache

from fleet.model.changes import CONVOY, Change
from fleet.model.drift import Probe, ProbedContainer
from fleet.model.gate import Check, GateAnswer, Mark, Signal
from fleet.model.observed import NotRead, Reading
from fleet.model.policy import Policy
from fleet.model.printable import many, printable
from fleet.model.restarts import (
    ContainerRestarts,
    ContainerSeen,
    Restarts,
    RestartSource,
    RestartsSeen,
)
from fleet.model.services import revision
from fleet.model.spans import CLOCKS_DIFFER_S, span
from fleet.model.verdicts import Stage, Verdict
from fleet.rollout.decide.freshness import bake_ends
from fleet.rollout.decide.judgement import ok_reason
from fleet.rollout.decide.observe import tell_verdict
from fleet.rollout.decide.tick_state import TickState
from fleet.rollout.decide.watch import is_only_watched

#: Attempts in a row that see nothing until restarts count as not seen; a container that is just
#: being started again is in no list of docker's.
READ_TRIES = 2
#: Seconds until the second of them.
AGAIN_S = 15.0
#: Part of ``watch_every`` after which a store that is looked at is read again. It is less than the
#: whole: slots of the watch and the end of a bake do not fall together.
EVERY = 0.5
#: Most stores whose restarts are read in one tick; keeps ticks short.
READS_PER_TICK = 32

_NEVER = datetime.min.replace(tzinfo=UTC)
HostKey = tuple[str, str]
HostAnswer = Reading[Probe] | NotRead


@dataclass(frozen=True, slots=True)
class RestartRead:
    """Says whose restarts to read.

    Attributes:
        services: of the store, by name.
        hosts: by service, the names of those that run it.
    """

    store: str
    services: tuple[str, ...]
    hosts: Mapping[str, tuple[str, ...]]

    @property
    def asked(self) -> frozenset[str]:
        """Return the names of the hosts that are asked."""
        return frozenset(host for one in self.services for host in self.hosts.get(one, ()))


def restart_reads(state: TickState, looked: Collection[str]) -> tuple[RestartRead, ...]:
    """Return whose restarts to read now, the longest unread first.

    Args:
        looked: stores that were read in this tick. A store of an earlier wave is read when it is
            looked at, so that it costs nothing to find out whether it is due.
    """
    if _policy(state).restart_source is RestartSource.OFF:
        return ()
    due: dict[str, list[Change]] = {}
    for wave, rows in _rows(state, looked):
        ends = _ends(state, wave, rows)
        for change in _sampled(state, wave, rows):
            if _is_due(state, change, ends, looked):
                due.setdefault(change.store, []).append(change)
    first = sorted(due, key=lambda store: (min(map(_tried, due[store])), store))
    places = state.rollout.spec.places
    return tuple(
        RestartRead(
            store,
            tuple(sorted(c.service for c in due[store])),
            places[store].hosts,
        )
        for store in first[:READS_PER_TICK]
    )


def note_restarts(state: TickState, seen: Mapping[tuple[str, str], RestartsSeen]) -> None:
    """Update changes by what was said of their restarts; too many of them are a failure.

    Args:
        seen: by store and service.
    """
    for (store, service), one in seen.items():
        change = state.change(store, service)
        if change.stage is not Stage.SENT or change.verdict is not Verdict.OK:
            continue
        now = counted(change, one, state.now)
        observed = replace(change.observed, restarts=now)
        if now.count <= _policy(state).max_restarts:
            state.move(change, observed=observed, reason=ok_reason(observed.reason, now))
            continue
        reason = f"{now.words}, max_restarts {_policy(state).max_restarts}"
        if change.ok_at is not None:
            late = span((state.now - change.ok_at).total_seconds())
            reason = f"{reason}; late, {late} after it was ok"
        cause = "restarts" if now.last_exit is None else f"restarts, exit {now.last_exit}"
        failed = state.move(
            change,
            verdict=Verdict.FAILED,
            reason=reason,
            look_at=None,
            is_late=change.is_late or is_only_watched(state, change),
            observed=replace(observed, reason=reason, cause=cause),
        )
        tell_verdict(state, change, failed)


def restart_signal(state: TickState, rows: Sequence[Change]) -> Signal:
    """Return the row of a gate; it holds a wave back until its restarts were read after its bake.

    A source that cannot be read holds nothing back for long: it is said not to be seen. Nor does
    one that was not tried within ``fresh_s`` of the bake's end, so that no wave waits for ever.
    """
    policy = _policy(state)
    needed = f"max_restarts {policy.max_restarts}"
    if policy.restart_source is RestartSource.OFF:
        off = "restart_source is off"
        return Signal(Check("restarts", "not seen", needed, Mark.UNCLEAR, off))
    wave = rows[0].wave if rows else state.rollout.wave
    mine = [
        c
        for c in _sampled(state, wave, rows)
        if c.stage is Stage.SENT and c.verdict in {Verdict.OK, Verdict.FAILED}
    ]
    ends = _ends(state, wave, rows)
    good = [c for c in mine if c.verdict is Verdict.OK]
    pending = state.stores(c for c in good if _is_pending(c, ends))
    if ends is not None and state.now >= ends + timedelta(seconds=policy.fresh_s):
        pending = []
    known = [c for c in mine if c.observed.restarts.read_at is not None]
    worst = max((c.observed.restarts.count for c in known), default=0)
    stores = len(state.stores(known))
    if any(c.observed.restarts.is_lower_bound for c in known):
        words = f"at least {worst} on the worst of {many(stores, 'store')} read"
    else:
        words = f"at most {worst} on {many(stores, 'store')} read" if stores else "not seen"
    problems = [c for c in mine if c.observed.restarts.problem]
    detail = ""
    if problems:
        unseen = many(len(state.stores(problems)), "store")
        detail = f"not seen on {unseen}: {problems[0].observed.restarts.problem}"
    mark = Mark.OVER if worst > policy.max_restarts else Mark.OK if stores else Mark.UNCLEAR
    if not pending:
        return Signal(Check("restarts", words, needed, mark, detail))
    if mark is not Mark.OVER:
        mark = Mark.WAIT
    reason = f"restarts of {many(len(pending), 'store')} are read before it goes on"
    return Signal(
        Check("restarts", words, needed, mark, detail),
        GateAnswer.WAIT,
        reason,
        state.in_seconds(AGAIN_S),
    )


def of_hosts(
    change: Change, hosts: Iterable[str], answers: Mapping[HostKey, HostAnswer]
) -> RestartsSeen:
    """Return what the hosts of a change say of its containers.

    Args:
        hosts: names of those that run it.
        answers: by store and host; one that was not asked is missing.
    """
    found: list[ContainerSeen] = []
    problems: list[str] = []
    source = ""
    for host in hosts:
        answer = answers.get((change.store, host))
        if not isinstance(answer, Reading):
            why = answer.why if answer is not None else "it was not asked"
            problems.append(f"{host}: {printable(why, limit=160)}")
            continue
        source = answer.value.via
        mine = list(_containers(change, host, answer.value))
        found += mine
        if not mine:
            problems.append(f"{host}: docker runs no container of {revision(change.target)}")
    return RestartsSeen(source, tuple(found), "; ".join(problems))


def counted(change: Change, seen: RestartsSeen, now: datetime) -> Restarts:
    """Return what is known of restarts after one more reading.

    A container that was there before the change was sent (nothing had to be replaced) is counted
    from the first reading on.
    """
    old = change.observed.restarts
    if not seen.containers:
        failures = old.failures + 1
        return replace(old, tried_at=now, failures=failures, problem=seen.problem)
    sent_at = change.sent_at or now
    containers = dict(old.containers)
    for one in seen.containers:
        known = containers.get(one.name)
        containers[one.name] = _one_more(known, one, sent_at)
    last = [c.last_exit for c in seen.containers if c.restarts and c.last_exit is not None]
    return Restarts(
        count=max(one.count for one in containers.values()),
        since=old.since or sent_at,
        last_exit=last[-1] if last else old.last_exit,
        source=seen.source,
        read_at=now,
        tried_at=now,
        problem=seen.problem,
        containers=containers,
    )


def _one_more(
    known: ContainerRestarts | None, seen: ContainerSeen, sent_at: datetime
) -> ContainerRestarts:
    if known is None:
        # Clocks differ; what was made for this send was made after it.
        margin = timedelta(seconds=CLOCKS_DIFFER_S)
        is_new = seen.created_at is None or seen.created_at >= sent_at - margin
        return ContainerRestarts(seen.restarts if is_new else 0, seen.restarts, seen.started_at)
    more = max(0, seen.restarts - known.counted)
    began_again = (
        seen.started_at is not None
        and known.started_at is not None
        and seen.started_at - known.started_at > timedelta(seconds=1)
    )
    # A source that only knows that it was started again says one, however often it happens.
    more = max(more, 1 if began_again else 0)
    return ContainerRestarts(known.count + more, seen.restarts, seen.started_at)


def _containers(change: Change, host: str, probe: Probe) -> Iterator[ContainerSeen]:
    """Yield the containers of what was sent; their times are put right by the host's clock."""
    wrong = timedelta(seconds=probe.clock_offset_s)
    starts = {task.id: task.started_at for task in change.observed.tasks}
    for one in probe.containers:
        if one.revision != revision(change.target):
            continue
        task = one.task_arn.rpartition("/")[2]
        yield ContainerSeen(
            # A container that replaces another has another name of docker's.
            name=f"{host}/{one.name or one.container}",
            restarts=restarts_at_least(one, starts.get(task), probe.clock_offset_s),
            created_at=None if one.created_at is None else one.created_at - wrong,
            started_at=None if one.started_at is None else one.started_at - wrong,
            last_exit=one.last_exit,
        )


def restarts_at_least(
    one: ProbedContainer, task_began: datetime | None, clock_offset_s: float
) -> int:
    """Return how often a container was started again, by whatever tells most.

    The agent's own count and the ends that docker remembers are numbers. That it has ended before
    and runs, or runs since long after its task began, says only that it was once at least.

    Args:
        task_began: ECS's time at which its task began to run; None where it is not known.
        clock_offset_s: of the host.
    """
    again = one.finished_at is not None
    if one.started_at is not None and task_began is not None:
        margin = timedelta(seconds=CLOCKS_DIFFER_S)
        began = one.started_at - timedelta(seconds=clock_offset_s)
        again = again or began - task_began > margin
    return max(one.restarts or 0, one.ends or 0, int(again))


def _policy(state: TickState) -> Policy:
    return state.rollout.spec.policy


def _tried(change: Change) -> datetime:
    return change.observed.restarts.tried_at or _NEVER


def _rows(state: TickState, looked: Collection[str]) -> Iterator[tuple[int, list[Change]]]:
    """Yield the waves that may be due, with their changes."""
    waves = {state.rollout.wave, CONVOY}
    waves |= {c.wave for store in looked for c in state.of_store(store) if c.sends}
    by_wave: dict[int, list[Change]] = {wave: [] for wave in waves}
    for change in state.changes:
        if change.wave in by_wave:
            by_wave[change.wave].append(change)
    yield from by_wave.items()


def _ends(state: TickState, wave: int, rows: Sequence[Change]) -> datetime | None:
    """Return when the bake of the present wave is over; None while it has not begun."""
    since = state.rollout.baking_since
    if wave != state.rollout.wave or since is None:
        return None
    return bake_ends(rows, since, _policy(state))


def _sampled(state: TickState, wave: int, rows: Sequence[Change]) -> list[Change]:
    """Return the changes of a wave whose restarts are read.

    All of the canary, and of other waves a few stores of each variant, drawn by the rollout's seed
    from those that can have a verdict. Once one of them has restarted too often, all are read.
    """
    spec = state.rollout.spec
    if wave == 0 and spec.canary:
        return list(rows)
    looping = {
        spec.variant_of(c)
        for c in rows
        if c.verdict is Verdict.FAILED and c.observed.restarts.count > spec.policy.max_restarts
    }
    found = [c for c in rows if spec.variant_of(c) in looping] if looping else []
    room = {shape.variant: spec.policy.restart_sample for shape in spec.shapes.values()}
    room |= dict.fromkeys(looping, 0)
    for store in _drawn(state, wave, rows):
        if not any(room.values()):
            break
        mine = [
            c
            for c in state.of_store(store)
            if c.wave == wave and not c.is_left_out and c.verdict not in _SAYS_NOTHING
        ]
        for variant in sorted({spec.variant_of(c) for c in mine}):
            # Two services of one variant in a store are one store of the sample.
            if room.get(variant, 0):
                room[variant] -= 1
                found += [c for c in mine if spec.variant_of(c) == variant]
    return found


def _drawn(state: TickState, wave: int, rows: Iterable[Change]) -> Sequence[str]:
    """Return the stores of a wave in the order in which they are drawn."""
    spec = state.rollout.spec
    if 0 <= wave < len(spec.waves):
        return _ranked(spec.seed, spec.waves[wave].stores)
    return _ranked(spec.seed, tuple(state.stores(rows)))


#: Verdicts under which a store's containers are not those of the release, or cannot be asked.
_SAYS_NOTHING = frozenset(
    {
        Verdict.DARK,
        Verdict.PARKED,
        Verdict.UNDELIVERED,
        Verdict.UNCHANGED,
        Verdict.CHANGED_BY_HAND,
    }
)


@lru_cache(maxsize=64)
def _ranked(seed: int, stores: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(sorted(stores, key=lambda store: _rank(seed, store)))


def _rank(seed: int, store: str) -> str:
    return hashlib.sha256(f"{seed} restarts {store}".encode()).hexdigest()


def _is_due(
    state: TickState, change: Change, ends: datetime | None, looked: Collection[str]
) -> bool:
    if change.stage is not Stage.SENT or change.verdict is not Verdict.OK:
        return False
    known = change.observed.restarts
    if known.tried_at is None:
        return True
    waited_s = (state.now - known.tried_at).total_seconds()
    if 0 < known.failures < READ_TRIES:
        return waited_s >= AGAIN_S
    if ends is not None and ends <= state.now and known.tried_at < ends:
        return True
    return change.store in looked and waited_s >= EVERY * _policy(state).watch_every_s


def _is_pending(change: Change, ends: datetime | None) -> bool:
    """Return whether an attempt at a good store is still to come before its wave may go on."""
    known = change.observed.restarts
    if known.tried_at is None or 0 < known.failures < READ_TRIES:
        return True
    return ends is not None and known.tried_at < ends
