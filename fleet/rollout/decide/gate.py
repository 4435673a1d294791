"""Decides whether a wave may go on, with the arithmetic; each variant must pass by itself.

For a variant with N stores that were sent the change: advance when ok / (ok + failed) reaches
``success``, (ok + failed) / N reaches ``coverage``, enough verdicts are in, the bake is over
without a late failure, and updated stores do not go dark more than others. A dark store counts
neither as ok nor as failed; an image that was not delivered says nothing of the release either.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cached_property

from fleet.model.changes import Change
from fleet.model.gate import Check, Count, Gate, GateAnswer, Mark, Signal
from fleet.model.policy import OnUnclear, Policy
from fleet.model.printable import many, percent
from fleet.model.spans import moment, span
from fleet.model.verdicts import WORST, Stage, Verdict
from fleet.rollout.decide.darkness import DarknessResult, Excess

_RANKS = {verdict: verdict.traits.standing.rank for verdict in Verdict}
#: Python takes long to find a member of an enum, which thousands of changes are compared with.
_HELD, _SKIPPED, _UNDONE = Stage.HELD, Stage.SKIPPED, Stage.UNDONE


def count(changes: Iterable[Change], variant_of: Callable[[Change], str]) -> dict[str, Count]:
    """Count stores by verdict for every variant; a store has the worst of its services'.

    Only stores that something was sent to have a verdict that counts; of the others parked and
    unchanged ones are told. What a person took out (skipped, or set back while it was good) is no
    part of it any more.

    Args:
        variant_of: tells the variant of a change by its service.
    """
    worst: dict[str, dict[str, tuple[bool, Verdict]]] = {}
    stores: dict[str, tuple[bool, Verdict]] = {}
    service = None
    for change in changes:
        if change.service != service:
            service = change.service
            stores = worst.setdefault(variant_of(change), {})
        verdict, stage = change.verdict, change.stage
        if (stage is _SKIPPED or stage is _UNDONE) and _is_no_part(change):
            continue
        # A change that AWS refused, or that fleet let go, was tried: a wave of nothing but those
        # has not been judged.
        tried = change.sends > 0 or stage is _HELD
        known = stores.get(change.store)
        if known is not None:
            tried = tried or known[0]
            if _RANKS[known[1]] > _RANKS[verdict]:
                verdict = known[1]
        stores[change.store] = tried, verdict
    return {variant: _counted(worst[variant].values()) for variant in sorted(worst)}


def _is_no_part(change: Change) -> bool:
    if change.is_left_out:
        return True
    return change.stage is _UNDONE and change.verdict in {Verdict.OK, Verdict.WAITING}


def _counted(stores: Iterable[tuple[bool, Verdict]]) -> Count:
    tally: Counter[str] = Counter()
    for (sent, verdict), number in Counter(stores).items():
        if sent:
            tally["sent"] += number
        if sent or verdict in {Verdict.PARKED, Verdict.UNCHANGED}:
            tally[verdict.traits.gate_column] += number
    return Count(**tally)


def evaluate(
    counts: Mapping[str, Count],
    darkness: DarknessResult,
    policy: Policy,
    *,
    wave_at: datetime,
    complete_since: datetime | None,
    now: datetime,
    accepted: Mapping[str, int] | None = None,
    failures: Sequence[Change] = (),
) -> Gate:
    """Return the gate of one wave, by its verdicts and the darkness test alone.

    Args:
        counts: by variant, as ``count`` makes them.
        wave_at: when the wave began, or a person last answered for it; patience begins there.
        complete_since: since when nothing more is to be sent and every verdict is in; None while
            that is not so.
        accepted: failures by variant that a person has accepted; they no longer count.
        failures: the changes that have failed; the newest is what a bake must be free of, and
            their causes are compared.
    """
    judged = [
        _Variant(
            counts[name],
            policy,
            (accepted or {}).get(name, 0),
            name,
            darkness,
            wave_at,
            complete_since,
            now,
            tuple(failures),
            len(counts) > 1,
        )
        for name in sorted(counts)
        if counts[name].sent
    ]
    if not judged:
        return Gate(GateAnswer.ADVANCE, "nothing to judge: no change was sent", (), counts)
    decides = max(judged, key=lambda v: (_WEIGHT[v.answer], v.badness))
    answer, reason, again_at = decides.outcome
    said = _by_variant(judged, decides, failures)
    if answer is GateAnswer.HALT and said:
        reason = f"{reason}; {said}"
    checks = decides.checks
    if len(judged) > 1:
        if answer is GateAnswer.ADVANCE:
            reason = f"{_ratios(judged)}, baked {span(policy.bake_s)}"
        said = said or f"the numbers above are of {decides.name}"
        checks = (
            *checks,
            Check("by variant", _ratios(judged), "each by itself", _mark(judged), said),
        )
    return Gate(answer, reason, checks, counts, again_at)


def with_signals(gate: Gate, signals: Sequence[Signal]) -> Gate:
    """Return the gate with further rows; the worst answer decides, the gate's before a row's."""
    gate = replace(gate, checks=(*gate.checks, *(signal.check for signal in signals)))
    worst = max(signals, key=lambda signal: _WEIGHT[signal.answer], default=None)
    if worst is None or _WEIGHT[worst.answer] <= _WEIGHT[gate.answer]:
        return gate
    return replace(gate, answer=worst.answer, reason=worst.reason, again_at=worst.again_at)


#: Of several variants the one that holds the wave back decides.
_WEIGHT = {GateAnswer.ADVANCE: 0, GateAnswer.WAIT: 1, GateAnswer.ASK: 2, GateAnswer.HALT: 3}


@dataclass(frozen=True)
class Tally:
    """Holds the stores of one variant by verdict, beside the limits of a policy.

    Attributes:
        accepted: failures that a person has accepted.
    """

    count: Count
    policy: Policy
    accepted: int

    @property
    def verdicts(self) -> int:
        """Return the number of stores with a verdict on the release, accepted failures included."""
        return self.count.ok + self.count.failed

    @property
    def failed(self) -> int:
        """Return the number of failures that nobody has accepted."""
        return max(0, self.count.failed - self.accepted)

    @property
    def success(self) -> float:
        """Return ok / (ok + failed), accepted failures left out; 1 without a verdict."""
        of = self.count.ok + self.failed
        return self.count.ok / of if of else 1.0

    @property
    def sample(self) -> int:
        """Return the verdicts that are needed before anything is concluded."""
        return min(self.policy.min_sample, self.count.sent)

    @property
    def budget(self) -> int:
        """Return the failures that do not halt."""
        return self.policy.max_failures.of(self.count.sent)

    @property
    def has_sample(self) -> bool:
        """Return whether enough verdicts are in to conclude anything."""
        return self.verdicts >= self.sample

    @property
    def has_success(self) -> bool:
        """Return whether enough of the verdicts are ok."""
        return self.success >= self.policy.success

    def success_words(self) -> str:
        """Return the ratio as ``6/8=75 %``."""
        of = self.count.ok + self.failed
        return f"{self.count.ok}/{of}={percent(self.success)}" if of else "0/0"


@dataclass(frozen=True)
class _Variant(Tally):
    """Does the arithmetic of one variant of a wave."""

    name: str
    darkness: DarknessResult
    wave_at: datetime
    complete_since: datetime | None
    now: datetime
    failures: tuple[Change, ...]
    is_one_of_many: bool

    @property
    def coverage(self) -> float:
        return self.verdicts / self.count.sent

    @property
    def is_complete(self) -> bool:
        return self.complete_since is not None and not self.count.waiting

    @property
    def has_coverage(self) -> bool:
        return self.coverage >= self.policy.coverage

    @property
    def over_budget(self) -> bool:
        return self.has_sample and self.failed > self.budget

    @property
    def badness(self) -> tuple[float, float, str]:
        """Return a key that sorts variants: the least successful, then the least known."""
        return (1 - self.success, 1 - self.coverage, self.name)

    @cached_property
    def bakes_until(self) -> datetime | None:
        """Return the end of the bake; a late failure begins it anew."""
        if not self.is_complete or self.complete_since is None:
            return None
        latest = max((c.since for c in self.failures if c.since), default=self.complete_since)
        begins = min(self.now, max(self.complete_since, latest))
        return begins + timedelta(seconds=self.policy.bake_s)

    @property
    def asks_at(self) -> datetime | None:
        if not self.is_complete or self.complete_since is None:
            return None
        return max(self.wave_at, self.complete_since) + timedelta(seconds=self.policy.patience_s)

    @property
    def answer(self) -> GateAnswer:
        return self.outcome[0]

    @cached_property
    def outcome(self) -> tuple[GateAnswer, str, datetime | None]:
        """Return answer, reason, and when time alone may change it."""
        if self.darkness.excess is Excess.YES:
            # Stores are compared with others whatever their hardware is, so no variant is named.
            return GateAnswer.HALT, f"{self.darkness.seen} dark: {self.darkness.words}", None
        stop = self._stop()
        if stop:
            return GateAnswer.HALT, self._named(stop), None
        if self.darkness.excess is Excess.SUSPECTED:
            return self._held(asks=False)
        if not self.is_complete:
            if self.darkness.excess is Excess.UNCLEAR:
                return self._held(asks=self.policy.on_unclear is OnUnclear.ASK)
            return self._unfinished()
        lacking = self._lacking()
        if lacking:
            return self._patience(lacking)
        if self.bakes_until is not None and self.now < self.bakes_until:
            return GateAnswer.WAIT, f"baking until {moment(self.bakes_until)}", self.bakes_until
        if self.darkness.excess is Excess.UNCLEAR:
            return self._held(asks=self.policy.on_unclear is OnUnclear.ASK)
        baked = span(self.policy.bake_s)
        reason = f"{self.count.ok}/{self.verdicts} ok of {self.count.sent} sent, baked {baked}"
        return GateAnswer.ADVANCE, reason, None

    def _stop(self) -> str:
        """Return why the wave must stop, or ""."""
        if self.over_budget:
            return f"{many(self.failed, 'failure')}, budget {self.budget}"
        if self.is_complete and self.has_sample and not self.has_success:
            return (
                f"success {self.success_words()} with every verdict in, "
                f"needed {percent(self.policy.success)}"
            )
        return ""

    def _unfinished(self) -> tuple[GateAnswer, str, datetime | None]:
        c = self.count
        if c.waiting:
            waiting = f"waiting for {c.waiting} of {many(c.sent, 'verdict')}"
            return GateAnswer.WAIT, self._named(waiting), None
        return GateAnswer.WAIT, self._named(f"{c.sent} sent, more of the wave to come"), None

    def _held(self, *, asks: bool) -> tuple[GateAnswer, str, datetime | None]:
        """Return what follows while it is not known whether dark stores are so by the release.

        Nothing is sent meanwhile: another store for each one that is set back would spread it.
        """
        since = self.darkness.since or self.now
        asks_at = since + timedelta(seconds=self.policy.patience_s)
        words = f"{self.darkness.seen} dark: {self.darkness.words}"
        if asks or self.now >= asks_at:
            return GateAnswer.ASK, words, None
        again_at = min(asks_at, self.darkness.again_at or asks_at)
        return GateAnswer.WAIT, f"{words}; nothing is sent until then", again_at

    def _lacking(self) -> str:
        """Return what keeps a complete wave from a conclusion, or ""."""
        why = ", ".join(f"{number} {word}" for word, number in self._silent)
        why = f": {why}" if why else ""
        if not self.has_coverage:
            needed = percent(self.policy.coverage)
            return f"coverage {self._coverage_words()}, needed {needed}{why}"
        if not self.has_sample:
            return f"{many(self.verdicts, 'verdict')}, needed {self.sample}{why}"
        return ""

    def _patience(self, lacking: str) -> tuple[GateAnswer, str, datetime | None]:
        asks_at = self.asks_at
        if asks_at is not None and self.now >= asks_at:
            patience = span(self.policy.patience_s)
            return GateAnswer.ASK, self._named(f"{lacking}; nothing has come for {patience}"), None
        return GateAnswer.WAIT, self._named(f"{lacking}; nothing is in progress"), asks_at

    def _named(self, text: str) -> str:
        return f"{self.name}: {text}" if self.is_one_of_many else text

    def _coverage_words(self) -> str:
        return f"{self.verdicts}/{self.count.sent}={percent(self.coverage)}"

    @cached_property
    def checks(self) -> tuple[Check, ...]:
        """Return every number with its limit; one that may still change is marked ``wait``."""
        still = Mark.WAIT if not self.is_complete or not self.has_sample else Mark.UNDER
        sample = "reached" if self.has_sample else "not reached"
        detail = f"min_sample {self.sample} {sample}: {self.verdicts}"
        if self.accepted:
            detail += f"; {self.accepted} accepted by a person"
        over = Mark.OVER if self.over_budget else Mark.OK
        if self.failed > self.budget and not self.has_sample:
            over = Mark.WAIT
        under = Mark.OK if self.has_coverage else Mark.WAIT if not self.is_complete else Mark.UNDER
        return (
            Check("failures", str(self.failed), f"budget {self.budget}", over, detail),
            Check(
                "success",
                self.success_words(),
                f"needed {percent(self.policy.success)}",
                Mark.OK if self.has_success and self.has_sample else still,
            ),
            Check(
                "coverage",
                self._coverage_words(),
                f"needed {percent(self.policy.coverage)}",
                under,
                self._missing_words(),
            ),
            Check(
                "darkness",
                self.darkness.seen,
                f"alpha {self.policy.alpha:g}",
                _DARK_MARK[self.darkness.excess],
                self.darkness.words,
            ),
            self._bake(),
        )

    @cached_property
    def _silent(self) -> list[tuple[str, int]]:
        """Return the stores that say nothing of the release, by verdict."""
        found = [(_words(v), self.count.of(v)) for v in WORST if v.traits.is_silent]
        return [(word, number) for word, number in found if number]

    def _missing_words(self) -> str:
        waiting = [("waiting", self.count.waiting)] if self.count.waiting else []
        return ", ".join(f"{word} {number}" for word, number in [*waiting, *self._silent])

    def _bake(self) -> Check:
        needed = f"needed {span(self.policy.bake_s)}"
        if self.bakes_until is None:
            return Check("bake", "not begun", needed, Mark.WAIT)
        left = (self.bakes_until - self.now).total_seconds()
        seen = span(min(self.policy.bake_s, self.policy.bake_s - left))
        return Check("bake", seen, needed, Mark.OK if left <= 0 else Mark.WAIT)


_DARK_MARK = {
    Excess.NO: Mark.OK,
    Excess.YES: Mark.OVER,
    Excess.SUSPECTED: Mark.WAIT,
    Excess.UNCLEAR: Mark.UNCLEAR,
}


def _by_variant(judged: Sequence[_Variant], decides: _Variant, failures: Sequence[Change]) -> str:
    """Return ``every failure is xavier, one common reason: exit 1``, as far as it is so."""
    failing = [v for v in judged if v.count.failed]
    if not decides.count.failed:
        return ""
    causes = {c.observed.cause or c.reason for c in failures}
    common = f"one common reason: {next(iter(causes))}" if len(causes) == 1 else ""
    if len(failing) == 1 and len(judged) > 1:
        return f"every failure is {decides.name}" + (f", {common}" if common else "")
    return common if len(failures) > 1 else ""


def _words(verdict: Verdict) -> str:
    """Print a verdict inside a sentence, as ``changed by hand``."""
    return verdict.value.replace("-", " ")


def _ratios(judged: Sequence[_Variant]) -> str:
    return " · ".join(f"{v.name} {v.count.ok}/{v.verdicts} ok" for v in judged)


def _mark(judged: Sequence[_Variant]) -> Mark:
    answers = {v.answer for v in judged}
    if GateAnswer.HALT in answers:
        return Mark.UNDER
    return Mark.OK if answers == {GateAnswer.ADVANCE} else Mark.WAIT
