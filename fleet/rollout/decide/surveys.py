"""Surveys updated and untouched stores alike, and counts those that go dark, for the darkness test.

Updated stores are read far more often than others, so what those reads see is not compared. A
survey is the first read of a store that comes ``dark_after_s`` or more after its last survey, in
either group. A store goes dark when two surveys in a row find it away. A sample of untouched stores
is read for its surveys alone, on that schedule, from the first send on and whatever the updated
stores do.

Stores are compared within the same carrier, link and time zone, where enough stores share them: a
storm or a carrier's outage takes both groups alike there. A store counts once as updated. Stores
of the convoy were away at their turn and are not compared, nor is one that was away before the
test began.
"""

import heapq
import zlib
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import lru_cache

from fleet.model.changes import CONVOY, Change
from fleet.model.darkness import DarknessTest, Presence, Survey
from fleet.model.gate import Sample
from fleet.model.policy import Policy
from fleet.model.rollout import Phase, Place
from fleet.model.services import StoreView
from fleet.model.verdicts import Stage, Verdict
from fleet.rollout.decide.change_facts import counts_from, hosts_seen
from fleet.rollout.decide.darkness import (
    DarknessResult,
    Draw,
    judge_darkness,
    most_expected,
    with_draws,
    with_history,
)
from fleet.rollout.decide.switched_off import absent_from, switched_off
from fleet.rollout.decide.tick_state import TickState, is_parked

#: Untouched stores that are read for comparison: 200 in five minutes are 0.7 calls a second, one
#: twentieth of what fleet reads at most.
CONTROL_SAMPLE = 200
#: Fewest of them in one carrier, link and time zone.
CONTROL_LEAST = 10
#: How far back recorded hours of untouched stores are used for comparison.
HISTORY = timedelta(days=7)
#: Multiple of ``dark_after_s`` after which a survey is too old to compare its store with others.
STALE = 3
#: Seconds until a survey that is due and was not made is tried again.
SOON_S = 15.0
#: Surveys after which an untouched store is compared: only then could it have been found dark.
FOLLOWED = 2
_SURVEYED = frozenset({Phase.RUNNING, Phase.AWAITING, Phase.PAUSED})


def control_sample(state: TickState) -> list[str]:
    """Return the untouched stores to compare with, drawn by the seed; none before the first send.

    Each carrier, link and time zone in which a store was sent the release has an equal part.
    """
    if state.rollout.phase is not Phase.RUNNING:
        return []
    kinds = _kinds(state)
    wanted = {kinds.get(c.store, "") for c in state.changes if _is_updated(c)}
    if not wanted:
        return []
    pools: dict[str, dict[str, None]] = {kind: {} for kind in sorted(wanted)}
    for change in state.changes:
        pool = pools.get(kinds.get(change.store, ""))
        if pool is not None and _is_untouched(change):
            pool[change.store] = None
    share = max(CONTROL_LEAST, CONTROL_SAMPLE // len(pools))
    seed = state.rollout.spec.seed
    return [
        store
        for pool in pools.values()
        for store in heapq.nsmallest(share, pool, key=lambda store: (_draw(seed, store), store))
    ]


def surveys_due(state: TickState) -> list[str]:
    """Return the stores of the sample whose survey is due, the longest overdue first."""
    due = [
        (at, store) for store in control_sample(state) if (at := _due_at(state, store)) <= state.now
    ]
    return [store for _, store in sorted(due)]


def next_survey(state: TickState) -> datetime | None:
    """Return when the next survey of an untouched store is due; None when none is.

    Not before ``SOON_S``: a store that cannot be read stays due.
    """
    first = min((_due_at(state, store) for store in control_sample(state)), default=None)
    return None if first is None else max(first, state.in_seconds(SOON_S))


def compare(
    state: TickState, views: Mapping[str, StoreView], history: Sample | None = None
) -> None:
    """Count what this tick's reads say of stores going dark, and go on with the test.

    Args:
        history: stores that went dark on record, and the store-hours in which they were watched.
    """
    if state.rollout.phase not in _SURVEYED:
        return
    groups = _groups(state)
    test = _with_history(groups, state, history)
    counting = _Counting(test, groups, state)
    for store, view in views.items():
        if not view.problem and view.instances is not None:
            counting.take(store, view)
    state.rollout = replace(state.rollout, darkness=counting.result())


def darkness_now(state: TickState) -> DarknessResult:
    """Return what the test says of the stores as they are now."""
    groups, test = _groups(state), state.rollout.darkness
    away = [
        c for c in state.changes if _is_updated(c) and _is_away(state, c) and not _is_let(state, c)
    ]
    dark = [c for c in away if c.verdict is Verdict.DARK]
    told = groups.is_enough or _has_history(test, state.rollout.spec.policy)
    unheard = [] if told else [c for c in dark if not c.observed.survey.counted]
    test = replace(test, control=groups.control, next_at=_next_at(state, away))
    return judge_darkness(
        test,
        state.rollout.spec.policy,
        updated=len(groups.updated),
        away=len(state.stores(away)),
        unheard=len(state.stores(unheard)),
        if_confirmed=_if_confirmed(state, groups, test),
    )


def note_result(state: TickState, found: DarknessResult) -> None:
    """Keep with the rollout what the test says until the next tick."""
    test = state.rollout.darkness
    words, since = ("", None)
    if found.holds:
        words, since = found.words, test.held_since or state.now
    test = replace(test, holds=words, held_since=since, next_at=found.again_at)
    state.rollout = replace(state.rollout, darkness=test)


def begin_anew(state: TickState) -> None:
    """Begin the test anew when a person lets the rollout go on in spite of what it says.

    Stores that are away now are left out until they are back (``answered_at``); none counts twice.
    """
    found = darkness_now(state)
    if not found.holds:
        return
    old = state.rollout.darkness
    fresh = DarknessTest(
        updated_dark=old.updated_dark,
        others_dark=old.others_dark,
        others_of=old.others_of,
        history=old.history,
        hour=old.hour,
        hour_dark=old.hour_dark,
        hour_s=old.hour_s,
    )
    state.rollout = replace(state.rollout, darkness=fresh)


def hour_sample(test: DarknessTest) -> Sample | None:
    """Return the untouched stores that went dark in this hour, of the store-hours watched."""
    if test.hour is None:
        return None
    return Sample(test.hour_dark, max(test.hour_dark, round(test.hour_s / 3600)))


def kinds_of(places: Mapping[str, Place], least: int) -> dict[str, str]:
    """Return by store what it is compared within: ``carrier/link/time zone``.

    A kind with fewer stores than ``least`` is taken together with others of the carrier and link,
    and if these are too few as well, with all others of which that is so.
    """
    fine = {store: f"{p.carrier}/{p.link}/{p.time_zone}" for store, p in places.items()}
    sizes = Counter(fine.values())
    if all(size >= least for size in sizes.values()):
        return fine
    coarse = {store: f"{places[store].carrier}/{places[store].link}" for store in fine}
    left = Counter(coarse[store] for store, kind in fine.items() if sizes[kind] < least)
    return {
        store: kind
        if sizes[kind] >= least
        else coarse[store]
        if left[coarse[store]] >= least
        else ""
        for store, kind in fine.items()
    }


def surveyed_at_send(change: Change, now: datetime) -> Survey:
    """Return the survey of a store that was just read and is sent the release: it is here."""
    return Survey(change.looked_at or now, Presence.HERE, 1)


@dataclass(frozen=True, slots=True)
class _Groups:
    """Holds how many stores could go dark, by what they are compared within.

    Attributes:
        updated: that were sent the release, whatever became of them.
        at_risk: updated stores that could go dark.
        others: untouched stores that could.
        least: fewest untouched stores that make a control group.
    """

    kinds: Mapping[str, str]
    updated: frozenset[str]
    at_risk: Mapping[str, int]
    others: Mapping[str, int]
    least: int

    @property
    def control(self) -> int:
        """Return the untouched stores in groups in which updated stores are."""
        return sum(self.others[kind] for kind, count in self.at_risk.items() if count)

    @property
    def is_enough(self) -> bool:
        return self.control >= self.least

    def is_compared(self, kind: str) -> bool:
        """Return whether untouched stores of this kind can be compared with."""
        return self.is_enough and self.others[kind] > 0


def _kinds(state: TickState) -> Mapping[str, str]:
    spec = state.rollout.spec
    return kinds_of(spec.places, 2 * spec.policy.min_control)


def _groups(state: TickState) -> _Groups:
    kinds = _kinds(state)
    policy = state.rollout.spec.policy
    stale = state.now - timedelta(seconds=STALE * policy.dark_after_s)
    at_risk, others = Counter[str](), Counter[str]()
    updated: set[str] = set()
    seen: set[str] = set()
    for change in state.changes:
        # The first change of a store carries its survey.
        if change.store in seen:
            continue
        seen.add(change.store)
        survey, kind = change.observed.survey, kinds.get(change.store, "")
        if _is_updated(change):
            updated.add(change.store)
            at_risk[kind] += _may_count(change)
        elif survey.looks >= FOLLOWED and survey.at is not None and survey.at >= stale:
            others[kind] += survey.presence.is_at_risk and _is_untouched(change)
    return _Groups(kinds, frozenset(updated), at_risk, others, policy.min_control)


def _is_updated(change: Change) -> bool:
    """Return whether a store counts as updated: also when it was set back because it is dark."""
    if not change.sends or change.wave == CONVOY:
        return False
    set_back = change.stage in {Stage.UNDOING, Stage.UNDONE} and change.verdict is Verdict.DARK
    return set_back or change.stage is Stage.SENT


def _is_untouched(change: Change) -> bool:
    return (
        change.stage is Stage.PLANNED
        and not change.sends
        and change.wave != CONVOY
        and not is_parked(change)
    )


def _may_count(change: Change) -> bool:
    survey = change.observed.survey
    return survey.presence.is_at_risk and not survey.counted


def _is_away(state: TickState, change: Change) -> bool:
    if switched_off(state, change) is not None:
        return False
    return change.away_since is not None or change.observed.survey.presence is Presence.AWAY


def _is_let(state: TickState, change: Change) -> bool:
    """Return whether a store was away before the test began, so that its absence says nothing."""
    began = state.rollout.answered_at or state.rollout.started_at
    since = absent_from(state, change)
    return since is not None and since <= began


def _due_at(state: TickState, store: str) -> datetime:
    at = state.of_store(store)[0].observed.survey.at
    every = timedelta(seconds=state.rollout.spec.policy.dark_after_s)
    return state.now if at is None else at + every


def _next_at(state: TickState, away: Iterable[Change]) -> datetime | None:
    """Return when one of the stores that are away is surveyed next."""
    every = timedelta(seconds=state.rollout.spec.policy.dark_after_s)
    moments = [
        max(at + every, change.look_at or state.now)
        for change in away
        if (at := change.observed.survey.at) is not None
    ]
    return min(moments, default=None)


@lru_cache(maxsize=65_536)
def _draw(seed: int, store: str) -> int:
    return zlib.crc32(f"{seed} {store}".encode())


def _has_history(test: DarknessTest, policy: Policy) -> bool:
    return test.history is not None and test.history.of >= policy.min_control


def _with_history(groups: _Groups, state: TickState, history: Sample | None) -> DarknessTest:
    """Return the test with the history that is on record when it is needed for the first time."""
    test, policy = state.rollout.darkness, state.rollout.spec.policy
    alone = any(count and not groups.is_compared(kind) for kind, count in groups.at_risk.items())
    if test.history is None and alone and history is not None and history.of >= policy.min_control:
        return replace(test, history=history)
    return test


@dataclass(slots=True)
class _Counting:
    """Counts the surveys of one tick."""

    test: DarknessTest
    groups: _Groups
    state: TickState
    dark: Counter[str] = field(default_factory=Counter)
    others_dark: Counter[str] = field(default_factory=Counter)
    others_first: int = 0
    others_new: int = 0
    alone_s: dict[str, float] = field(default_factory=dict)
    control_s: float = 0.0

    def take(self, store: str, view: StoreView) -> None:
        """Survey a store, if its survey is due."""
        rows = self.state.of_store(store)
        if not rows:
            return
        holder = rows[0]
        updated = _is_updated(holder)
        if not updated and not _is_untouched(holder):
            return
        before = holder.observed.survey
        every = self.state.rollout.spec.policy.dark_after_s
        passed = (view.at - before.at).total_seconds() if before.at else 0.0
        if before.at is not None and passed < every:
            return
        place = self.state.rollout.spec.places[store]
        absences = [
            counts_from(place, h.name, h.away_since, every)
            for row in rows
            for h in hosts_seen(row, view, place)
            if h.away_since is not None
        ]
        away = any(since is not None and since <= view.at for since in absences)
        if absences and not away:
            return  # it is switched off with its store, which says nothing of the release
        now = _after(before, view.at, away=away)
        watched_s = min(passed, STALE * every) if before.presence.is_at_risk else 0.0
        goes_dark = before.presence is Presence.AWAY and now.presence is Presence.DARK
        kind = self.groups.kinds.get(store, "")
        if updated:
            # Otherwise a person has seen this absence, or it is older than the rollout.
            news = not before.counted and not any(_is_let(self.state, row) for row in rows)
            counts = goes_dark and news and self._is_told()
            self.dark[kind] += counts
            self.alone_s[kind] = self.alone_s.get(kind, 0.0) + (watched_s if news else 0.0)
        else:
            counts = goes_dark
            followed = before.looks >= FOLLOWED and passed <= STALE * every
            self.others_dark[kind] += goes_dark and followed
            self.others_first += goes_dark and not before.counted
            self.others_new += now.looks == FOLLOWED
            self.control_s += watched_s
        now = replace(now, counted=before.counted or counts)
        self.state.put(replace(holder, observed=replace(holder.observed, survey=now)))

    def _is_told(self) -> bool:
        """Return whether a dark store can be compared with others or with history."""
        policy = self.state.rollout.spec.policy
        return self.groups.is_enough or _has_history(self.test, policy)

    def result(self) -> DarknessTest:
        """Return the test after these surveys."""
        hour = self.state.now.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
        same = hour == self.test.hour
        test = replace(
            self.test,
            updated_dark=self.test.updated_dark + self.dark.total(),
            others_dark=self.test.others_dark + self.others_first,
            others_of=self.test.others_of + self.others_new,
            control=self.groups.control,
            hour=hour if same or self.control_s else self.test.hour,
            hour_dark=(self.test.hour_dark if same else 0) + self.others_dark.total(),
            hour_s=(self.test.hour_s if same else 0.0) + self.control_s,
        )
        draws = [
            Draw(
                Sample(min(self.dark[kind], self.groups.at_risk[kind]), self.groups.at_risk[kind]),
                Sample(min(self.others_dark[kind], others), others),
            )
            for kind, others in self.groups.others.items()
            if self.groups.is_compared(kind) and self.dark[kind] + self.others_dark[kind]
        ]
        test = replace(test, log_ratios=with_draws(test.log_ratios, draws)) if draws else test
        return self._alone(test)

    def _alone(self, test: DarknessTest) -> DarknessTest:
        """Return the test after the surveys of stores that only history can be compared with.

        However many of one carrier, link and time zone go dark within ``dark_after_s``, they count
        as one: nothing tells an outage that they share from the release.
        """
        policy = self.state.rollout.spec.policy
        if not _has_history(test, policy) or test.history is None:
            return test
        kinds = [kind for kind in self.groups.at_risk if not self.groups.is_compared(kind)]
        seconds = sum(self.alone_s.get(kind, 0.0) for kind in kinds)
        lately = self.state.now - timedelta(seconds=policy.dark_after_s)
        new = [k for k in kinds if self.dark[k] and test.outages.get(k, lately) <= lately]
        if not seconds and not new:
            return test
        expected = most_expected(test.history, policy.alpha) * seconds / 3600
        return replace(
            test,
            log_ratios=with_history(test.log_ratios, dark=len(new), expected=expected),
            outages={**test.outages, **dict.fromkeys(new, self.state.now)},
        )


def _after(before: Survey, at: datetime, *, away: bool) -> Survey:
    """Return the survey of a store after one more look."""
    presence = Presence.HERE
    if away:
        here_before = before.presence is Presence.HERE
        presence = Presence.AWAY if here_before else Presence.DARK
    return replace(before, at=at, presence=presence, looks=before.looks + 1)


def _if_confirmed(state: TickState, groups: _Groups, test: DarknessTest) -> DarknessTest:
    """Return the test as it will be if every store that is away is so at its next survey too."""
    dark, others, seen = Counter[str](), Counter[str](), set[str]()
    for change in state.changes:
        if change.store in seen:
            continue
        seen.add(change.store)
        kind = groups.kinds.get(change.store, "")
        if _is_updated(change):
            dark[kind] += (
                _may_count(change) and _is_away(state, change) and not _is_let(state, change)
            )
        elif change.observed.survey.presence is Presence.AWAY and _is_untouched(change):
            others[kind] += 1
    draws = [
        Draw(Sample(dark[kind], groups.at_risk[kind]), Sample(min(others[kind], of), of))
        for kind, of in groups.others.items()
        if groups.is_compared(kind)
    ]
    alone = sum(1 for kind, count in dark.items() if count and not groups.is_compared(kind))
    ratios = with_draws(test.log_ratios, draws)
    if alone and _has_history(test, state.rollout.spec.policy):
        ratios = with_history(ratios, dark=alone, expected=0.0)
    return replace(test, log_ratios=ratios)
