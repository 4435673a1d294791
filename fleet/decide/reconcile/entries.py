"""What an entry of the catalogue of findings is."""

from dataclasses import dataclass

from fleet.model.drift_settings import Severity


@dataclass(frozen=True, slots=True)
class Entry:
    """One kind of finding, for ``fleet explain CODE`` and for the rules.

    Attributes:
        code: in capitals, as ``TWIN``.
        severity: unless the rule says another one.
        title: a few words, as ``two container instances of one host``.
        meaning: what is true when this is found, and what comes of it; two or three sentences.
        remedy: what to do about it; one or two sentences.
        safe: whether ``fleet drift --fix`` may do that by itself.
    """

    code: str
    severity: Severity
    title: str
    meaning: str
    remedy: str
    safe: bool = False
