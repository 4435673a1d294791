"""Runs rollouts tick by tick: one in the foreground until it rests, or all of them as a service."""

import threading
import time
from concurrent.futures import CancelledError
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta

from fleet.errors import FleetError, LeaseLost, Locked, RecordsError
from fleet.model.changes import Change
from fleet.model.history import Lease
from fleet.model.rollout import Phase, Rollout, VerbName
from fleet.model.stop import Stop
from fleet.rollout.decide.change_facts import stores_back
from fleet.rollout.decide.next_tick import waits_for_person
from fleet.rollout.decide.store_choice import StoreRead
from fleet.rollout.decide.watch import LONGEST_WATCH
from fleet.rollout.shard_jobs import ShardJob, ShardResult, run_shard_job
from fleet.rollout.tick import TickContext, Ticked, rollout_lease, shard_lease, tick
from fleet.runtime.lease import TTL_S, Held, held, holder_of

#: Name of the lease that a running controller holds.
CONTROLLER = "controller"
#: Real seconds between reads of the verbs of a rollout that waits.
VERBS_EVERY_S = 0.5
#: Real seconds between looks at the run's clock, which may be an accelerated one.
CLOCK_EVERY_S = 0.02
#: Real seconds that a tick waits for an account and region in which another rollout ticks.
SHARD_PATIENCE_S = 60.0
#: Seconds of the run's clock until a controller tries again what it could not tick.
TROUBLE_S = 60.0
#: Real seconds until a controller asks again for a database that is away.
AWAY_S = 2.0
#: Seconds of the run's clock until a controller asks again for what somebody else ticks.
LOCKED_S = 5.0
#: Seconds of the run's clock between asking owed stores of finished rollouts whether they are back.
OWED_EVERY_S = 120.0


@dataclass(frozen=True, slots=True)
class Rested:
    """Holds a rollout at the end of its foreground run.

    Attributes:
        stopped: whether a person stopped the run before the rollout rested.
    """

    rollout: Rollout
    changes: tuple[Change, ...]
    stopped: bool


def run_until_rest(context: TickContext, rollout_id: str, stop: threading.Event) -> Rested:
    """Tick a rollout here until it is finished, waits for a person, or ``stop`` is set.

    Raises:
        Locked: another process ticks it.
        LeaseLost: another process took it over, because this one was out for too long.
        FleetError: an account and region cannot be worked with; what is in flight stays, and the
            rollout can be resumed.
    """
    with held(context.wiring.records, [rollout_lease(rollout_id)], context.owner) as own:
        while True:
            alone = holder_of(context.wiring.records, CONTROLLER) is None
            ticked = _tick(context, rollout_id, own, unwatched=alone)
            rollout, actions = ticked.rollout, ticked.settled.actions
            if rollout.finished_at is not None or waits_for_person(
                rollout, ticked.changes, actions
            ):
                return Rested(ticked.rollout, ticked.changes, stopped=False)
            if stop.is_set():
                return Rested(ticked.rollout, ticked.changes, stopped=True)
            if ticked.troubles:
                where, why, hint = ticked.troubles[0]
                then = to_go_on(rollout)
                raise FleetError(
                    f"{rollout_id} goes no further: {where}: {why}",
                    hint=f"{hint}; then: {then}" if hint else then,
                )
            _wait(context, rollout_id, ticked.settled.wake_at, stop, own)


def to_go_on(rollout: Rollout) -> str:
    """Return a command that ticks it and accepts nothing, as `resume` would after a halt."""
    if rollout.phase in {Phase.RUNNING, Phase.ROLLING_BACK}:
        return f"fleet rollout resume {rollout.id}"
    return "fleet controller --once"


def _tick(context: TickContext, rollout_id: str, own: Held, *, unwatched: bool = False) -> Ticked:
    records = context.wiring.records
    places = records.rollouts.load(rollout_id).spec.places.values()
    names = {shard_lease(p.account_id, p.region) for p in places}
    deadline = time.monotonic() + SHARD_PATIENCE_S
    while True:
        try:
            with held(records, names, context.owner) as shards:
                return tick(context, rollout_id, own, shards, unwatched=unwatched)
        except LeaseLost:
            raise
        except Locked:
            # Another rollout ticks there; ticks are short, so wait for it.
            if time.monotonic() > deadline:
                raise
            own.proceed()
            time.sleep(VERBS_EVERY_S / 5)


def _wait(
    context: TickContext, rollout_id: str, until: datetime | None, stop: threading.Event, own: Held
) -> None:
    """Wait until a time of the run's clock, a new verb, ``stop``, or what `fleet stop` changes."""
    records, stops = context.wiring.records.rollouts, context.wiring.records.stops
    stopped = stops.in_force()
    look_at = time.monotonic() + VERBS_EVERY_S
    while not stop.is_set():
        if until is not None and context.wiring.clock.now() >= until:
            return
        if time.monotonic() >= look_at:
            own.proceed()
            if records.verbs(rollout_id, unobeyed_only=True) or stops.in_force() != stopped:
                return
            look_at = time.monotonic() + VERBS_EVERY_S
        stop.wait(CLOCK_EVERY_S)


def run_controller(context: TickContext, stop: threading.Event, *, once: bool = False) -> None:
    """Tick every active rollout until ``stop`` is set, and resume those whose owed stores are back.

    Several controllers may run: each tick is done by the one that gets the rollout's lease. What
    cannot be ticked now is reported and tried again; only ``stop`` ends the service.

    Args:
        once: do one tick of each rollout and return, for use from cron.
    """
    rounds = _Rounds(context)
    try:
        while True:
            rounds.announce()
            worked = rounds.go(stop, everything=once)
            if once or stop.is_set():
                return
            stop.wait(CLOCK_EVERY_S if worked else CLOCK_EVERY_S * 10)
    finally:
        rounds.close()


class _Rounds:
    """Remembers what helps the next round; a restart loses it and only reads more."""

    def __init__(self, context: TickContext) -> None:
        self._context = context
        self._due: dict[str, datetime] = {}
        self._told: dict[str, str] = {}
        self._watch_for: dict[str, timedelta] = {}
        self._owed_at: datetime | None = None
        self._stopped: Stop | None = None
        self._lease: Lease | None = None
        self._announced = 0.0

    def announce(self) -> None:
        """Take or renew the lease that shows that a controller runs; one of several holds it."""
        if self._announced and time.monotonic() - self._announced < TTL_S / 3:
            return
        self._announced = time.monotonic()
        leases = self._context.wiring.records.leases
        try:
            if self._lease is not None:
                self._lease = leases.renew(self._lease)
            else:
                self._lease = leases.take(CONTROLLER, self._context.owner, TTL_S)
        except LeaseLost:
            self._lease = None
        except FleetError as error:
            self._say_once(CONTROLLER, str(error))

    def close(self) -> None:
        """Release the lease; if the database cannot be reached, it expires."""
        if self._lease is not None:
            with suppress(FleetError):
                self._context.wiring.records.leases.release(self._lease)

    def go(self, stop: threading.Event, *, everything: bool) -> bool:
        """Do one round; returns whether anything was ticked.

        Raises:
            RecordsError: the database is away, and one round is all there is.
        """
        try:
            worked = self._go(stop, everything=everything)
        except RecordsError as error:
            if everything:
                raise
            self._say_once("records", str(error))
            stop.wait(AWAY_S)
            return False
        self._told.pop("records", None)
        return worked

    def _go(self, stop: threading.Event, *, everything: bool) -> bool:
        worked = False
        context = self._context
        self._notice_stop()
        for rollout_id in (*context.wiring.records.rollouts.active(), *self._watched()):
            if stop.is_set():
                return True
            if everything or self._is_due(rollout_id):
                worked = True
                self._round(rollout_id)
        now = context.wiring.clock.now()
        if everything or self._owed_at is None or self._owed_at <= now:
            self._owed_at = now + timedelta(seconds=OWED_EVERY_S)
            if self._stopped is None:
                self._resume_owed()
        return worked

    def _watched(self) -> tuple[str, ...]:
        """Return the rollouts that are done and whose stores are still watched."""
        now = self._context.wiring.clock.now()
        rollouts = self._context.wiring.records.rollouts
        found = []
        for each, done_at in rollouts.done_since(now - LONGEST_WATCH).items():
            if each not in self._watch_for:  # a spec is large, and its policy never changes
                seconds = rollouts.load(each).spec.policy.watch_for_s
                self._watch_for[each] = timedelta(seconds=seconds)
            if now < done_at + self._watch_for[each]:
                found.append(each)
        return tuple(found)

    def _notice_stop(self) -> None:
        """Say that every send is stopped, or may go on, and tick all rollouts at once for that."""
        stopped = self._context.wiring.records.stops.in_force()
        if stopped == self._stopped:
            return
        if stopped is not None:
            self._context.warn(f"{stopped.words}; lift it: fleet start")
        else:
            self._context.warn("sending goes on: the stop of all sends was lifted")
        self._stopped = stopped
        self._due.clear()
        self._owed_at = None

    def _is_due(self, rollout_id: str) -> bool:
        due = self._due.get(rollout_id)
        if due is None or due <= self._context.wiring.clock.now():
            return True
        records = self._context.wiring.records.rollouts
        return bool(records.verbs(rollout_id, unobeyed_only=True))

    def _round(self, rollout_id: str) -> None:
        context = self._context
        trouble = ""
        wake_at: datetime | None = None
        try:
            with held(context.wiring.records, [rollout_lease(rollout_id)], context.owner) as own:
                ticked = _tick(context, rollout_id, own)
            wake_at = ticked.settled.wake_at
            trouble = "; ".join(f"{where}: {why}" for where, why, _ in ticked.troubles)
        except (Locked, LeaseLost):
            # Somebody else ticks it; whether they still live is seen by trying again.
            wake_at = context.wiring.clock.now() + timedelta(seconds=LOCKED_S)
        except FleetError as error:
            trouble = str(error)
        now = context.wiring.clock.now()
        if trouble:
            wake_at = now + timedelta(seconds=TROUBLE_S)
            self._say_once(rollout_id, trouble)
        else:
            self._told.pop(rollout_id, None)
        self._due[rollout_id] = wake_at or datetime.max.replace(tzinfo=now.tzinfo)

    def _say_once(self, rollout_id: str, trouble: str) -> None:
        if self._told.get(rollout_id) != trouble:
            self._told[rollout_id] = trouble
            self._context.warn(f"{rollout_id}: {trouble}; it is tried again")

    def _resume_owed(self) -> None:
        """Resume the finished rollouts that a connected store still owes.

        Not one that was recalled: whether stores get it all the same is for a person to say.
        """
        context = self._context
        owed: dict[str, list[Change]] = {}
        for rollout_id, change in context.wiring.records.rollouts.owed():
            # What used up its tries is sent again only when a person retries it.
            if not change.verdict.traits.is_retryable:
                owed.setdefault(rollout_id, []).append(change)
        for rollout_id, changes in owed.items():
            try:
                rollout = context.wiring.records.rollouts.load(rollout_id)
                back = [] if rollout.recalled else sorted(_back(context, rollout, changes))
            except FleetError as error:
                self._say_once(rollout_id, str(error))
                continue
            if back:
                names = ", ".join(back[:5])
                say(context, rollout_id, VerbName.RESUME, tuple(back), f"owed and back: {names}")
                self._round(rollout_id)


def _back(context: TickContext, rollout: Rollout, changes: list[Change]) -> set[str]:
    """Return the ids of the owed stores whose hosts are all connected now."""
    spec = rollout.spec
    back: set[str] = set()
    for shard in {(c.account, c.region) for c in changes}:
        here = [c for c in changes if (c.account, c.region) == shard]
        stores = sorted({c.store for c in here})
        account = context.wiring.fleet.accounts.get(shard[0])
        if account is None:
            raise FleetError(
                f"stores of account {shard[0]} owe it, which the inventory does not have any more",
                hint="put the account back into inventory/fleet.yaml",
            )
        job = ShardJob(
            account=account,
            region=shard[1],
            reads=tuple(StoreRead(store, spec.places[store].cluster, ()) for store in stores),
        )
        result = _result(context, job)
        if result.trouble:
            raise FleetError(f"{'/'.join(shard)}: {result.trouble}", hint=result.hint)
        back |= stores_back(here, result.views, spec.places)
    return back


def _result(context: TickContext, job: ShardJob) -> ShardResult:
    """Run a job and return its result.

    Raises:
        FleetError: the executor lost it.
    """
    try:
        return context.executor.submit(run_shard_job, context.open_access, job).result()
    except FleetError:
        raise
    except (Exception, CancelledError) as error:
        raise FleetError(f"the executor lost a look: {type(error).__name__}") from error


def say(
    context: TickContext, rollout_id: str, name: VerbName, stores: tuple[str, ...], why: str
) -> int:
    """Record a verb that the rollout's next tick obeys; returns its id."""
    said = context.wiring.records.rollouts.say(
        rollout_id, name, by=context.caller, at=context.wiring.clock.now(), stores=stores, why=why
    )
    return said.id
