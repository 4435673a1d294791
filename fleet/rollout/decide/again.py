"""Sending a row once more, and what becomes of it where that is called off before it happened."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from fleet.model.rollout import Change, Stage, Verdict


def remembering(change: Change) -> Mapping[str, Any]:
    """The row's evidence, with how its last try ended, for a row that is to be sent once more."""
    if not change.sends:
        return change.evidence
    ended = {"stage": change.stage.value, "verdict": change.verdict.value, "reason": change.reason}
    return {**change.evidence, "ended": ended}


def called_off(change: Change) -> Change:
    """A row that was to be sent once more and will not be, as its last try ended."""
    ended = change.evidence.get("ended")
    if change.stage is not Stage.PLANNED or not ended:
        return change
    return replace(
        change,
        stage=Stage(ended["stage"]),
        verdict=Verdict(ended["verdict"]),
        reason=ended["reason"],
        evidence=forgetting(change),
    )


def forgetting(change: Change) -> Mapping[str, Any]:
    """The row's evidence once it was sent again: how the try before ended is past."""
    return {key: value for key, value in change.evidence.items() if key != "ended"}
