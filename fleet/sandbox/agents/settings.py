"""Settings of the ECS agent that concern tasks, as ecs.config has them (ecs-anywhere.md §3)."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from fleet.sandbox.agents.registration import ConfigInvalid

PULL_BEHAVIOURS = ("default", "always", "once", "prefer-cached")
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_PIECE = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h)")


@dataclass(frozen=True, slots=True)
class Settings:
    """What ecs.config says; times in seconds.

    Attributes:
        pull: ECS_IMAGE_PULL_BEHAVIOR. ``default`` pulls and falls back on what is cached,
            ``always`` pulls or fails, ``once`` and ``prefer-cached`` pull what is not there.
        stop_timeout_s: ECS_CONTAINER_STOP_TIMEOUT, between SIGTERM and SIGKILL.
        task_cleanup_s: ECS_ENGINE_TASK_CLEANUP_WAIT_DURATION, until a stopped task's containers
            are removed.
        image_cleanup: not ECS_DISABLE_IMAGE_CLEANUP.
        image_cleanup_s: ECS_IMAGE_CLEANUP_INTERVAL.
        image_age_s: ECS_IMAGE_MINIMUM_CLEANUP_AGE.
    """

    pull: str = "default"
    stop_timeout_s: float = 30.0
    task_cleanup_s: float = 3 * 3600.0
    image_cleanup: bool = True
    image_cleanup_s: float = 1800.0
    image_age_s: float = 3600.0


def read_settings(config: Mapping[str, str]) -> Settings:
    """From the environment of the agent; ConfigInvalid for a time that is none.

    An unknown pull behaviour is the default one, as the agent has it.
    """
    pull = config.get("ECS_IMAGE_PULL_BEHAVIOR", "")
    return Settings(
        pull if pull in PULL_BEHAVIOURS else "default",
        _seconds(config, "ECS_CONTAINER_STOP_TIMEOUT", 30.0),
        _seconds(config, "ECS_ENGINE_TASK_CLEANUP_WAIT_DURATION", 3 * 3600.0),
        config.get("ECS_DISABLE_IMAGE_CLEANUP", "").lower() != "true",
        _seconds(config, "ECS_IMAGE_CLEANUP_INTERVAL", 1800.0),
        _seconds(config, "ECS_IMAGE_MINIMUM_CLEANUP_AGE", 3600.0),
    )


def _seconds(config: Mapping[str, str], name: str, default: float) -> float:
    """A duration in Go's form, as ``1h30m``."""
    text = config.get(name, "").strip()
    if not text:
        return default
    pieces = _PIECE.findall(text)
    if "".join(f"{number}{unit}" for number, unit in pieces) != text:
        raise ConfigInvalid(f"invalid {name} {text!r}, expected a duration such as 3h or 30s")
    return sum(float(number) * _UNITS[unit] for number, unit in pieces)
