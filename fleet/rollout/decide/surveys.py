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

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from fleet.model.changes import Change
from fleet.model.copies import copied
from fleet.model.darkness import DarknessTest, Presence, Survey
from fleet.model.gate import Sample
from fleet.model.policy import Policy
from fleet.model.rollout import Phase
from fleet.model.services import StoreView
from fleet.model.verdicts import Verdict
from fleet.rollout.decide.change_facts import counts_from, hosts_seen
from fleet.rollout.decide.control_sample import is_untouched, is_updated, kinds
from fleet.rollout.decide.darkness import (
    DarknessResult,
    Draw,
    judge_darkness,
    most_expected,
    with_draws,
    with_history,
)
from fleet.rollout.decide.switched_off import absent_from, switched_off
from fleet.rollout.decide.tick_state import TickState

#: How far back recorded hours of untouched stores are used for comparison.
HISTORY = timedelta(days=7)
#: Multiple of ``dark_after_s`` after which a survey is too old to compare its store with others.
STALE = 3
#: Surveys after which an untouched store is compared: only then could it have been found dark.
FOLLOWED = 2
_SURVEYED = frozenset({Phase.RUNNING, Phase.AWAITING, Phase.PAUSED})


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
    away = _away(state, state.where(_seems_away))
    away = [c for c in away if is_updated(c) and not _is_let(state, c)]
    dark = [c for c in away if c.verdict is Verdict.DARK]
    told = groups.is_enough or _has_history(test, state.rollout.spec.policy)
    unheard = [] if told else [c for c in dark if not c.observed.survey.counted]
    test = replace(test, control=groups.control, next_at=_next_at(state, away))
    return judge_darkness(
        test,
        state.rollout.spec.policy,
        updated=groups.updated,
        away=len(state.stores(away)),
        unheard=len(state.stores(unheard)),
        if_confirmed=_if_confirmed(state, groups, test) if away else test,
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


def surveyed_at_send(change: Change, now: datetime) -> Survey:
    """Return the survey of a store that was just read and is sent the release: it is here."""
    return Survey(change.looked_at or now, Presence.HERE, 1)


@dataclass(frozen=True, slots=True)
class _Groups:
    """Holds how many stores could go dark, by what they are compared within.

    Attributes:
        updated: how many were sent the release, whatever became of them.
        at_risk: updated stores that could go dark.
        others: untouched stores that could.
        least: fewest untouched stores that make a control group.
    """

    kinds: Mapping[str, str]
    updated: int
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


def _groups(state: TickState) -> _Groups:
    kind_of = kinds(state)
    policy = state.rollout.spec.policy
    stale = state.now - timedelta(seconds=STALE * policy.dark_after_s)
    at_risk, others = Counter[str](), Counter[str]()
    updated = state.first_where(is_updated)
    at_risk.update(dict.fromkeys([kind_of.get(c.store, "") for c in updated], 0))
    at_risk.update([kind_of.get(c.store, "") for c in state.first_where(_is_at_risk)])
    for change in state.first_where(_is_followed):
        at = change.observed.survey.at
        if at is not None and at >= stale:
            others[kind_of.get(change.store, "")] += 1
    return _Groups(kind_of, len(updated), at_risk, others, policy.min_control)


def _is_at_risk(change: Change) -> bool:
    return is_updated(change) and _may_count(change)


def _is_followed(change: Change) -> bool:
    survey = change.observed.survey
    return survey.looks >= FOLLOWED and survey.presence.is_at_risk and is_untouched(change)


def _may_count(change: Change) -> bool:
    survey = change.observed.survey
    return survey.presence.is_at_risk and not survey.counted


def _away(state: TickState, seeming: Iterable[Change]) -> list[Change]:
    """Return the changes, of these that seem away, whose stores should not be."""
    return [c for c in seeming if switched_off(state, c) is None]


def _seems_away(change: Change) -> bool:
    return change.away_since is not None or change.observed.survey.presence is Presence.AWAY


def _is_let(state: TickState, change: Change) -> bool:
    """Return whether a store was away before the test began, so that its absence says nothing."""
    began = state.rollout.answered_at or state.rollout.started_at
    since = absent_from(state, change)
    return since is not None and since <= began


def _next_at(state: TickState, away: Iterable[Change]) -> datetime | None:
    """Return when one of the stores that are away is surveyed next."""
    every = timedelta(seconds=state.rollout.spec.policy.dark_after_s)
    moments = [
        max(at + every, change.look_at or state.now)
        for change in away
        if (at := change.observed.survey.at) is not None
    ]
    return min(moments, default=None)


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
        updated = is_updated(holder)
        if not updated and not is_untouched(holder):
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
        if counts and not before.counted:
            now = replace(now, counted=True)
        self.state.put(copied(holder, observed=copied(holder.observed, survey=now)))

    def _is_told(self) -> bool:
        """Return whether a dark store can be compared with others or with history."""
        policy = self.state.rollout.spec.policy
        return self.groups.is_enough or _has_history(self.test, policy)

    def result(self) -> DarknessTest:
        """Return the test after these surveys."""
        test = replace(
            self._with_hour(),
            updated_dark=self.test.updated_dark + self.dark.total(),
            others_dark=self.test.others_dark + self.others_first,
            others_of=self.test.others_of + self.others_new,
            control=self.groups.control,
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

    def _with_hour(self) -> DarknessTest:
        """Return the test with what untouched stores did in the present hour."""
        if not self.control_s:
            return self.test
        hour = self.state.now.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
        same = hour == self.test.hour
        return replace(
            self.test,
            hour=hour,
            hour_dark=(self.test.hour_dark if same else 0) + self.others_dark.total(),
            hour_s=(self.test.hour_s if same else 0.0) + self.control_s,
        )

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
    dark, others = Counter[str](), Counter[str]()
    for change in _away(state, state.first_where(_seems_away)):
        kind = groups.kinds.get(change.store, "")
        if is_updated(change):
            dark[kind] += _may_count(change) and not _is_let(state, change)
        elif change.observed.survey.presence is Presence.AWAY and is_untouched(change):
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
