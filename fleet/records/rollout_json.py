"""What a rollout was told, as JSON text and back without loss; the shape is ``model.plain``'s."""

import json

from fleet.errors import RecordsError
from fleet.model.plain import from_plain, to_plain
from fleet.model.rollout import RolloutSpec


def spec_text(spec: RolloutSpec) -> str:
    """Canonical JSON: equal specs are equal texts.

    Raises:
        TypeError: it holds a secret, or something that JSON has no word for.
        ValueError: it holds a number that is none.
    """
    return json.dumps(
        to_plain(spec), sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )


def spec_from(text: str) -> RolloutSpec:
    """The spec of a text.

    Raises:
        RecordsError: it is not one, or one of another version of fleet.
    """
    try:
        return from_plain(RolloutSpec, json.loads(text))
    except ValueError as error:
        raise RecordsError(
            f"the rollout was recorded in another shape than this fleet reads: {error}",
            hint="use the version of fleet that started it",
        ) from error
