"""What may be written about the nightly scan: ``drift`` in ``fleet.yaml``, and ``ignores.yaml``.

drift: {hold: 15m, keep_days: 90, min_versions: {docker: "24.0"}, fail_on: low}

ignores:
  - codes: DISK_LOW
    where: market=uk
    until: 2027-01-31
    reason: new boxes come in January
"""

from datetime import UTC, datetime
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema
from pydantic_core import PydanticCustomError

from fleet.inventory.policy_shapes import AtLeastOne, Duration, End, Share
from fleet.inventory.shape import Shape, several
from fleet.model.drift_settings import Severity

_ONE_OR_MORE = {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}
_DAYS = Field(ge=1, le=3650)
Words = Annotated[list[str], BeforeValidator(several), WithJsonSchema(_ONE_OR_MORE)]
Version = Annotated[str, Field(pattern=r"^\d{1,6}(\.\d{1,6}){0,4}$")]


def _aware(until: datetime) -> datetime:
    """Without a zone in UTC: a rule is the team's, and not a store's."""
    return until if until.tzinfo else until.replace(tzinfo=UTC)


def _reason(text: str) -> str:
    if not text.strip():
        context = {"said": "a reason is needed", "hint": "say why this may be let be, and who says"}
        raise PydanticCustomError("pattern", "{said}", context)
    return text


class MinVersionsShape(Shape):
    """``min_versions``: the least version of what runs on hosts."""

    ecs_agent: Version | None = None
    ssm_agent: Version | None = None
    docker: Version | None = None


class DriftShape(Shape):
    """``drift``: what counts as drift; what is not said is as in the built-in settings."""

    hold: Duration = None
    look_again: Duration = None
    unsteady: AtLeastOne = None
    unsteady_days: Annotated[int | None, _DAYS] = None
    keep_days: Annotated[int | None, _DAYS] = None
    activation_open: Duration = None
    min_versions: MinVersionsShape | None = None
    disk_free_mb: Annotated[int | None, Field(ge=0)] = None
    temperature_c: Annotated[float | None, Field(gt=0, le=200, allow_inf_nan=False)] = None
    clock: Duration = None
    tier_share: Share = None
    clusters: Annotated[int | None, Field(ge=1)] = None
    revisions: Annotated[int | None, Field(ge=1)] = None
    rollout_idle: Duration = None
    fail_on: Severity | None = None


class IgnoreShape(Shape):
    """An entry of ``ignores``: a finding that the team lives with for a while."""

    codes: Words = Field(default_factory=list)
    where: str | None = None
    stores: Words = Field(default_factory=list)
    hosts: Words = Field(default_factory=list)
    subject: str | None = None
    until: Annotated[End, AfterValidator(_aware)]
    reason: Annotated[str, AfterValidator(_reason)]


class IgnoresShape(Shape):
    """``ignores.yaml``."""

    ignores: list[IgnoreShape] | None = None
