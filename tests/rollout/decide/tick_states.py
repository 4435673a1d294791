"""Makes the state of a tick over a few shops that are always in a window, for tests."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from fleet.model.changes import Change
from fleet.model.desired import TaskDefinition
from fleet.model.hours import Hours, OpenSpan
from fleet.model.policy import Policy, Window
from fleet.model.rollout import Place, Rollout, RolloutSpec, Verb, VerbName, WavePlan
from fleet.model.services import StoreView
from fleet.model.verdicts import Stage, Verdict
from fleet.rollout.decide.tick_state import TickState
from tests import rollouts
from tests.rollout.decide import verdicts

after = verdicts.after
SERVICE = verdicts.SERVICE
CONTENT = "c" * 64
OLD, NEW, OTHER = verdicts.revision(12), verdicts.revision(13), verdicts.revision(14)
BODY: Mapping[str, Any] = {"family": SERVICE, "containerDefinitions": [{"name": "vision"}]}
POLICY = Policy("standard", window=Window.ALWAYS)


def opening(at: float, until: float) -> Hours:
    """Opens and closes (London, in winter) so many seconds from second 0, every day."""
    begins, ends = (after(seconds).replace(tzinfo=None).time() for seconds in (at, until))
    return dict.fromkeys(range(7), (OpenSpan(begins, ends),))


def sent(store: str = "store-042", verdict: Verdict = Verdict.WAITING, **fields: Any) -> Change:
    """A change that went out at second 0, and is looked at whenever somebody asks."""
    return rollouts.change(
        store,
        verdict,
        **{"sent_at": after(0), "since": after(0), "looked_at": None, **fields},
    )


def planned(store: str = "store-042", wave: int = 0, **fields: Any) -> Change:
    """A change whose call was not made; ``wave`` 1 is after the canary."""
    return rollouts.planned(store, wave, **fields)


def parked(store: str = "store-042", wave: int = 0, **fields: Any) -> Change:
    """A change of a shop that was dark at its turn."""
    away: Mapping[str, Any] = {"verdict": Verdict.PARKED, "away_since": after(-900)}
    return planned(store, wave, **{**away, **fields})


def undone(store: str = "store-042", verdict: Verdict = Verdict.DARK, **fields: Any) -> Change:
    """A change that was set back."""
    return sent(store, verdict, stage=Stage.UNDONE, **fields)


def rollout(*rows: Change, **fields: Any) -> Rollout:
    """One of a canary and a wave, in which these rows are; words say what differs."""
    stores = list(dict.fromkeys(row.store for row in rows))
    first = [s for s in stores if all(row.wave < 1 for row in rows if row.store == s)]
    waves = (
        WavePlan("canary", tuple(first)),
        WavePlan("wave 1", tuple(s for s in stores if s not in first)),
    )
    spec = rollouts.spec(
        *waves,
        policy=POLICY,
        task_definitions={CONTENT: TaskDefinition(SERVICE, CONTENT, BODY)},
        places={store: place(store) for store in stores},
        shapes={row.service: rollouts.shape() for row in rows},
    )
    told = {name: fields.pop(name) for name in list(fields) if name in _SPEC}
    value = rollouts.rollout(
        spec=replace(spec, **told), started_at=after(0), wave_at=after(0), updated_at=None
    )
    return replace(value, **fields)


_SPEC = frozenset(RolloutSpec.__dataclass_fields__)


def state(*rows: Change, at: float = 60.0, **fields: Any) -> TickState:
    """These rows at a second of the rollout; ``stop`` is the latest stop of every send."""
    stop = fields.pop("stop", None)
    return TickState(rollout(*rows, **fields), rows, after(at), stop)


def place(store: str = "store-042", **fields: Any) -> Place:
    return rollouts.place(store, **{"hosts": {SERVICE: ("cam-1",)}, **fields})


def view(store: str = "store-042", at: float = 60.0, **said: Any) -> StoreView:
    """What AWS says, without tasks unless ``view="deep"``; runs the old revision, connected."""
    told = {"view": "shallow", "service": {"rev": 12}, **said}
    return replace(verdicts.view({"at": at, **told}), store=store)


def away(store: str = "store-042", at: float = 60.0, **said: Any) -> StoreView:
    return view(store, at, hosts={"cam-1": {"connected": False}}, **said)


def said(name: VerbName, *stores: str, number: int = 1, why: str = "") -> Verb:
    return Verb(number, "ro-118", name, stores, rollouts.CALLER, after(50), why)


def seconds(moment: datetime | None) -> float | None:
    """The second of the rollout that a moment is."""
    return None if moment is None else (moment - after(0)) / timedelta(seconds=1)
