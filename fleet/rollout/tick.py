"""Does one tick of a rollout: reads its rows and AWS, decides, records, acts, and records again.

A tick may be interrupted anywhere. What it is about to do is recorded before it is done, and the
next tick, in this process or another, reads the services before it concludes anything from that.
"""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import CancelledError, Executor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from fleet.errors import FleetError, LeaseLost, Locked
from fleet.model.changes import Change
from fleet.model.gate import Sample
from fleet.model.identity import TAG_FLEET, TAG_ROLLOUT
from fleet.model.inventory import Account
from fleet.model.restarts import RestartSource, RestartsSeen
from fleet.model.rollout import ActionKind, EventKind, Rollout, RolloutAction, RolloutEvent
from fleet.model.services import StoreView
from fleet.model.signals import SignalsRead, SignalsSeen
from fleet.rollout.decide.call_results import apply_results
from fleet.rollout.decide.insights import insights_reads, of_insights, unseen
from fleet.rollout.decide.observe import observe
from fleet.rollout.decide.restarts import RestartRead, note_restarts, restart_reads
from fleet.rollout.decide.service_calls import (
    CallOutcome,
    CallResult,
    ServiceWrite,
    service_write,
)
from fleet.rollout.decide.signal_readings import note_signals
from fleet.rollout.decide.signal_reads import signals_to_read
from fleet.rollout.decide.stopped import stop_words
from fleet.rollout.decide.store_choice import StoreRead, choose_stores, store_read
from fleet.rollout.decide.surveys import HISTORY, compare, hour_sample
from fleet.rollout.decide.tick import Settled, begin, settle
from fleet.rollout.decide.tick_state import TickState, is_sent
from fleet.rollout.decide.verbs import obey
from fleet.rollout.restart_readers import read_restarts
from fleet.rollout.sends import SENDS_PER_QUESTION, called_off, in_turn, why_not_to_send
from fleet.rollout.shard_jobs import ShardJob, ShardResult, run_shard_job
from fleet.rollout.states_at_hand import StatesAtHand
from fleet.runtime.aws_access import OpenShardAccess, open_shard_access
from fleet.runtime.executor import open_executor
from fleet.runtime.http_probe import ask_urls
from fleet.runtime.lease import Held, owner_name
from fleet.runtime.wiring import Wiring

#: Seconds until the next tick after a verb that could not be obeyed.
AGAIN_S = 15.0
Shard = tuple[str, str]


@dataclass(frozen=True, slots=True)
class TickContext:
    """Holds what ticks need: access to AWS and the records, and the names for the audit.

    Attributes:
        executor: where shard jobs run.
        open_access: opens the access to AWS in the process in which a job runs.
        owner: of the leases, as ``owner_name`` makes it.
        run_id: of the run that the audit names.
        caller: ARN that the audit names.
        tell: is given every event once it is recorded; must not raise.
        warn: is given one line about what cannot be done now; must not raise.
        at_hand: what its ticks have written.
    """

    wiring: Wiring
    executor: Executor
    open_access: OpenShardAccess
    owner: str
    run_id: str
    caller: str
    tell: Callable[[RolloutEvent], None]
    warn: Callable[[str], None]
    at_hand: StatesAtHand = field(default_factory=StatesAtHand)


@contextmanager
def open_tick_context(
    wiring: Wiring,
    *,
    command: str,
    run_id: str,
    caller: str,
    tell: Callable[[RolloutEvent], None],
    warn: Callable[[str], None],
) -> Iterator[TickContext]:
    """Open the executor that ``FLEET_EXECUTOR`` names, and give what ticks need.

    Args:
        command: as the owner of leases names it.

    Raises:
        UsageError: ``FLEET_EXECUTOR`` makes no sense.
        FleetError: the cluster does not answer.
    """
    with open_executor(os.environ.get("FLEET_EXECUTOR"), wiring.workers) as executor:
        yield TickContext(
            wiring=wiring,
            executor=executor,
            open_access=open_shard_access,
            owner=owner_name(command),
            run_id=run_id,
            caller=caller,
            tell=tell,
            warn=warn,
        )


@dataclass(frozen=True, slots=True)
class Ticked:
    """Holds the result of a tick.

    Attributes:
        settled: the decision.
        rollout: as it was recorded last.
        troubles: (shard, why, hint) for each account and region that could not be worked with.
    """

    settled: Settled
    rollout: Rollout
    changes: tuple[Change, ...]
    troubles: tuple[tuple[str, str, str], ...]


def shard_lease(account_id: str, region: str) -> str:
    """Return the name of the lease of an account and region, for which AWS limits calls."""
    return f"shard {account_id}/{region}"


def rollout_lease(rollout_id: str) -> str:
    """Return the name of a rollout's lease; its holder may tick it."""
    return f"rollout {rollout_id}"


def tick(
    context: TickContext, rollout_id: str, own: Held, shards: Held, *, unwatched: bool = False
) -> Ticked:
    """Do one tick.

    Args:
        own: the rollout's lease; every write is checked against it.
        shards: the leases of its accounts and regions, with their call budgets.
        unwatched: whether nobody ticks it any more once it waits for a person.

    Raises:
        LeaseLost: somebody else ticks it now; nothing was recorded after that.
        RecordsError: the database is away.
    """
    return _Tick(context, rollout_id, own, shards, unwatched=unwatched).run()


class _Tick:
    def __init__(
        self, context: TickContext, rollout_id: str, own: Held, shards: Held, *, unwatched: bool
    ) -> None:
        self._unwatched = unwatched
        self._context = context
        self._records = context.wiring.records.rollouts
        self._own = own
        self._shards = shards
        self._id = rollout_id
        rollout = self._records.load(rollout_id)
        self._stop = context.wiring.records.stops.latest()
        kept = context.at_hand.find(rollout, context.wiring.clock.now(), self._stop)
        self._board = kept or self._state(rollout, self._records.changes(rollout_id))
        self._troubles: dict[Shard, tuple[str, str]] = {}

    def _state(self, rollout: Rollout, changes: Iterable[Change]) -> TickState:
        return TickState(rollout, changes, self._context.wiring.clock.now(), self._stop)

    def run(self) -> Ticked:
        state = self._board
        self._say_stop()
        verbs = self._records.verbs(self._id, unobeyed_only=True)
        answers = obey(state, verbs)
        begin(state)
        choice = choose_stores(state)
        views = self._look(choice.reads)
        deeper = observe(state, views)
        if deeper:
            deep = self._look(store_read(state, store, tasks=True) for store in deeper)
            observe(state, deep)
            views |= deep
        self._see_restarts(views)
        self._read_signals(choice.to_send)
        seen = frozenset(store for store, view in views.items() if not view.problem)
        known = hour_sample(state.rollout.darkness)
        compare(state, views, self._history())
        settled = settle(state, choice, seen, unwatched=self._unwatched)
        sample, hour = hour_sample(state.rollout.darkness), state.rollout.darkness.hour
        if sample is not None and hour is not None and sample != known:
            self._records.note_connectivity(self._id, hour, sample.dark, sample.of)
        try:
            self._record(answers)
        except LeaseLost:
            raise
        except Locked as error:
            return self._not_obeyed(answers, settled, error)
        if settled.actions:
            self._act(settled.actions)
        state = self._board
        troubles = tuple(
            ("/".join(shard), why, hint) for shard, (why, hint) in sorted(self._troubles.items())
        )
        return Ticked(settled, state.rollout, state.changes, troubles)

    def _see_restarts(self, views: Mapping[str, StoreView]) -> None:
        """Read the restarts that are due, and let them count."""
        state = self._board
        reads = restart_reads(state, views.keys())
        if not reads:
            return
        source = state.rollout.spec.policy.restart_source
        if source is RestartSource.CONTAINER_INSIGHTS:
            note_restarts(state, self._see_insights(reads))
            return
        if source is RestartSource.RUN_COMMAND:
            missing = (r.store for r in reads if r.store not in views)
            views = {**views, **self._look(store_read(state, store) for store in missing)}
        wiring = self._context.wiring
        seen = read_restarts(wiring, source, reads, state.change, views)
        # Where it is enabled, Container Insights knows of hosts that nobody reached.
        second = self._see_insights(unseen(reads, seen))
        note_restarts(state, seen | {key: one for key, one in second.items() if one.containers})

    def _see_insights(self, reads: Iterable[RestartRead]) -> dict[tuple[str, str], RestartsSeen]:
        """Return what Container Insights says of restarts; what fails is part of the answers."""
        mine = list(reads)
        asked = insights_reads(self._board, mine)
        return of_insights(self._board, mine, self._ask_cloudwatch(asked))

    def _say_stop(self) -> None:
        """Add an event about a stop of every send, or its end, unless there is one already."""
        state, stop = self._board, self._stop
        words = stop_words(stop, state.rollout, state.now)
        if words and stop and not self._records.has_event(self._id, words, stop.at):
            state.say(EventKind.WAIT, words)

    def _not_obeyed(self, answers: Mapping[int, str], settled: Settled, error: Locked) -> Ticked:
        """Answer verbs that cannot be obeyed, because another rollout holds the stores."""
        rollout, changes = self._records.load(self._id), self._records.changes(self._id)
        self._board = self._state(rollout, changes)
        self._board.say(EventKind.PROBLEM, str(error))
        self._record(dict.fromkeys(answers, f"not done: {error}"))
        # An unfinished rollout goes on as it was, without what could not be done.
        again = None if rollout.finished_at is not None else self._board.in_seconds(AGAIN_S)
        rested = replace(settled, actions=(), wake_at=again, why=str(error))
        return Ticked(rested, self._board.rollout, self._board.changes, ())

    def _history(self) -> Sample | None:
        """Return what is on record to compare with; None before something is sent."""
        if self._board.rollout.darkness.history or not self._board.where(is_sent):
            return None
        return self._records.history_sample(self._board.now - HISTORY)

    def _record(self, answers: Mapping[int, str] | None = None) -> None:
        """Write what changed, and go on with a state on which nothing has changed."""
        state = self._board
        rollout = replace(
            state.rollout, tick=state.rollout.tick + 1, updated_at=self._context.wiring.clock.now()
        )
        lease = self._own.lease(rollout_lease(self._id))
        self._records.write_tick(lease, rollout, state.moved, state.events, answers)
        self._board = state.again(rollout, self._context.wiring.clock.now(), self._stop)
        self._context.at_hand.keep(self._board)
        for event in state.events:
            self._context.tell(event)
        self._own.proceed()
        self._shards.proceed()

    def _look(self, reads: Iterable[StoreRead]) -> dict[str, StoreView]:
        by_shard: dict[Shard, list[StoreRead]] = {}
        for read in reads:
            place = self._board.rollout.spec.places[read.store]
            by_shard.setdefault((place.account, place.region), []).append(read)
        views: dict[str, StoreView] = {}
        for result in self._run(self._jobs(by_shard, {})):
            views |= result.views
        return views

    def _read_signals(self, to_send: Sequence[str]) -> None:
        """Read alarms and checks where they are due; what fails is part of the readings."""
        asked = signals_to_read(self._board, to_send)
        if asked is None:
            return
        seen = self._ask_cloudwatch(asked.by_shard)
        note_signals(self._board, asked, seen, ask_urls(asked.probes))

    def _ask_cloudwatch(self, asked: Mapping[Shard, SignalsRead]) -> dict[Shard, SignalsSeen]:
        jobs = {
            key: replace(job, signals=asked[key])
            for key, job in self._jobs({key: [] for key in asked}, {}).items()
        }
        return {(result.account, result.region): result.signals for result in self._run(jobs)}

    def _act(self, actions: Iterable[RolloutAction]) -> None:
        undos: dict[Shard, list[ServiceWrite]] = {}
        sends: dict[Shard, list[ServiceWrite]] = {}
        for action in actions:
            change = self._board.change(action.store, action.service)
            write = service_write(
                action,
                change,
                self._board.rollout.spec,
                fleet=self._context.wiring.fleet.name,
                rollout=self._id,
            )
            writes = undos if action.kind is ActionKind.UNDO else sends
            writes.setdefault((change.account, change.region), []).append(write)
        # Whatever follows cannot be fenced by the database.
        self._own.check()
        self._shards.check()
        written = self._write(undos) if undos else []
        for some in in_turn(sends, SENDS_PER_QUESTION):
            stores = {write.store for mine in some.values() for write in mine}
            why_not = why_not_to_send(self._context.wiring.records, self._id, stores)
            written += called_off(some, why_not, self._context.wiring.clock.now())
            left = {s: [w for w in mine if w.store not in why_not] for s, mine in some.items()}
            written += self._write({shard: mine for shard, mine in left.items() if mine})
        # The calls took time; what follows happens after them.
        now = self._context.wiring.clock.now()
        self._board = self._board.again(self._board.rollout, now, self._stop)
        apply_results(self._board, written)
        self._note_unanswered(undos, written)
        self._note_unanswered(sends, written)
        self._audit(one for one in written if one.outcome is not CallOutcome.CALLED_OFF)
        self._record()

    def _write(self, writes: Mapping[Shard, list[ServiceWrite]]) -> list[CallResult]:
        written: list[CallResult] = []
        for result in self._run(self._jobs({}, writes)):
            written += result.written
            self._remember(result)
        return written

    def _note_unanswered(
        self, writes: Mapping[Shard, list[ServiceWrite]], written: Iterable[CallResult]
    ) -> None:
        """Note why nothing came of writes to an account and region; the next tick looks first."""
        answered = {(one.store, one.service) for one in written}
        for shard, mine in writes.items():
            if shard not in self._troubles:
                continue
            reason = f"no answer: {self._troubles[shard][0]}"
            rows = [self._board.change(w.store, w.service) for w in mine]
            new = [c for c in rows if c.key not in answered and c.reason != reason]
            for change in new:
                self._board.move(change, reason=reason)
            if new:
                # A controller tries again every minute; it is told once.
                self._board.say(EventKind.PROBLEM, f"{'/'.join(shard)}: {reason}")

    def _jobs(
        self, reads: Mapping[Shard, list[StoreRead]], writes: Mapping[Shard, list[ServiceWrite]]
    ) -> dict[Shard, ShardJob]:
        """Return a job for each account and region; notes a trouble for one without access."""
        jobs = {}
        for key in {**reads, **writes}:
            try:
                jobs[key] = self._job(key, reads=reads.get(key, ()), writes=writes.get(key, ()))
            except FleetError as error:
                self._troubles[key] = str(error), error.hint or ""
        return jobs

    def _job(
        self, key: Shard, *, reads: Iterable[StoreRead] = (), writes: Iterable[ServiceWrite] = ()
    ) -> ShardJob:
        spec = self._board.rollout.spec
        account_id = next(p.account_id for p in spec.places.values() if p.account == key[0])
        sends = [w for w in writes if w.kind is ActionKind.SEND]
        contents = sorted({w.content for w in sends})
        find = self._context.wiring.records.task_definitions.find
        known = {c: arn for c in contents if (arn := find(account_id, key[1], c))}
        groups = {
            group.name: group
            for w in sends
            for group in spec.shapes[w.service].log_groups
            if w.content not in known
        }
        return ShardJob(
            account=self._account(key[0], account_id),
            region=key[1],
            reads=tuple(reads),
            writes=tuple(writes),
            definitions={c: spec.task_definitions[c] for c in contents if c not in known},
            known=known,
            log_groups=tuple(groups.values()),
            tags={TAG_FLEET: self._context.wiring.fleet.name, TAG_ROLLOUT: self._id},
            budget=self._shards.state(shard_lease(account_id, key[1])),
        )

    def _account(self, name: str, account_id: str) -> Account:
        """Return an account as the present inventory has it."""
        known = self._context.wiring.fleet.accounts.get(name)
        if known is None or known.account_id != account_id:
            raise FleetError(
                f"{self._id} goes to account {name} ({account_id}), which the inventory does not "
                "have any more",
                hint="put the account back into inventory/fleet.yaml, or abort the rollout",
            )
        return known

    def _run(self, jobs: Mapping[Shard, ShardJob]) -> Iterable[ShardResult]:
        context = self._context
        futures = {
            key: context.executor.submit(run_shard_job, context.open_access, job)
            for key, job in jobs.items()
            if key not in self._troubles
        }
        for key, future in futures.items():
            try:
                result = future.result()
            except CancelledError:
                self._troubles[key] = "the executor gave the job up", ""
                continue
            except FleetError as error:
                self._troubles[key] = str(error), error.hint or ""
                continue
            except Exception as error:  # noqa: BLE001 - a lost worker raises what Dask likes
                self._troubles[key] = f"the executor lost the job: {type(error).__name__}", ""
                continue
            job = jobs[key]
            self._shards.keep(shard_lease(job.account.account_id, key[1]), result.budget)
            if result.trouble:
                self._troubles[key] = result.trouble, result.hint
                self._board.say(EventKind.PROBLEM, f"{'/'.join(key)}: {result.trouble}")
            yield result

    def _remember(self, result: ShardResult) -> None:
        """Keep the ARNs of task definitions, so that each is searched for once."""
        spec = self._board.rollout.spec
        account_id = self._context.wiring.fleet.accounts[result.account].account_id
        cache = self._context.wiring.records.task_definitions
        for content, arn in result.registered.items():
            if cache.find(account_id, result.region, content) != arn:
                cache.put(account_id, result.region, arn, spec.task_definitions[content])

    def _audit(self, written: Iterable[CallResult]) -> None:
        for one in written:
            self._context.wiring.records.audit(
                self._context.run_id,
                at=one.at,
                caller_arn=self._context.caller,
                action=f"{one.kind.value} service",
                store=one.store,
                why=f"{self._id}: {one.outcome.value}",
                detail={
                    "service": one.service,
                    "target": one.target,
                    "words": one.runs or one.words,
                },
            )
