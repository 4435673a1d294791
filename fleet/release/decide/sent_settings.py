"""Compares a service's settings three ways: what fleet sent last, what ECS shows, what is wanted.

What fleet sends is written into the tag ``fleet:sent`` of the service, so that a second machine,
or one that has lost its records, knows it too. A value that is there and that fleet did not send
was set by somebody: it is left alone unless a person says ``--overwrite``.

A service without the tag was made by fleet 0.1. A value that 0.1 may have sent is taken for
fleet's there, any other for somebody's.
"""

import hashlib
import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

from fleet.model.identity import TAG_SENT
from fleet.model.normal_form import SERVICE_RULES, normal_form
from fleet.model.printable import printable
from fleet.model.services import ServiceState

#: Of the desired count, in the input of UpdateService and in the tag.
COUNT = "desiredCount"
COUNT_KEY = "count"
_BREAKER = ("deploymentConfiguration", "deploymentCircuitBreaker")
#: Values of a tag (ECS API reference).
LONGEST_TAG = 256
_SHOWN = 160
_TOKEN = re.compile(r"[A-Za-z0-9_.:-]+")


def _any_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _is_placement(value: Any) -> bool:
    """Say whether constraints look as fleet writes them."""
    ours = ("attribute:ecs.cpu-architecture ", "attribute:fleet.")
    return isinstance(value, Sequence) and all(
        one.get("type") == "distinctInstance" or str(one.get("expression", "")).startswith(ours)
        for one in value
    )


@dataclass(frozen=True, slots=True)
class SettingField:
    """One value that fleet sends.

    Attributes:
        key: its name in the tag.
        path: keys in the input of UpdateService.
        words: its name for people.
        by_policy: whether the policy of a rollout decides it, and not the inventory alone.
        was_sent: whether fleet 0.1 may have sent a value other than the wanted one.
    """

    key: str
    path: tuple[str, ...]
    words: str
    by_policy: bool = False
    was_sent: Callable[[Any], bool] = lambda _value: False


FIELDS = (
    SettingField(COUNT_KEY, (COUNT,), "desired count"),
    SettingField("max", ("deploymentConfiguration", "maximumPercent"), "maximum percent"),
    SettingField(
        "min", ("deploymentConfiguration", "minimumHealthyPercent"), "minimum healthy percent"
    ),
    SettingField("breaker", (*_BREAKER, "enable"), "circuit breaker"),
    SettingField("rollback", (*_BREAKER, "rollback"), "breaker rollback"),
    SettingField("kind", (*_BREAKER, "thresholdConfiguration", "type"), "breaker threshold"),
    SettingField(
        "failures",
        (*_BREAKER, "thresholdConfiguration", "value"),
        "breaker count",
        by_policy=True,
        was_sent=_any_count,
    ),
    SettingField("placement", ("placementConstraints",), "placement", was_sent=_is_placement),
    SettingField("zones", ("availabilityZoneRebalancing",), "zone rebalancing"),
    SettingField("managed", ("enableECSManagedTags",), "ECS managed tags"),
    SettingField("propagate", ("propagateTags",), "propagated tags"),
)


@dataclass(frozen=True, slots=True)
class LastSent:
    """What fleet sent a service last, from its tag.

    Attributes:
        send: names the one send, as ``ro-7.0``.
        values: by key of ``FIELDS``, as written in the tag.
        before: likewise, what was sent before that, where it was another value.
    """

    send: str = ""
    values: Mapping[str, str] = field(default_factory=dict)
    before: Mapping[str, str] = field(default_factory=dict)

    @property
    def rollout(self) -> str:
        """Id of the rollout that sent it."""
        return self.send.rpartition(".")[0]

    @property
    def text(self) -> str:
        """Return the value of the tag; if it is too long, without what was sent before."""
        short = [f"{key}={value}" for key, value in self.values.items()]
        long = [
            f"{key}={value}" + (f"/{self.before[key]}" if key in self.before else "")
            for key, value in self.values.items()
        ]
        text = " ".join((self.send, *long))
        return text if len(text) <= LONGEST_TAG else " ".join((self.send, *short))


def last_sent(tags: Mapping[str, str]) -> LastSent | None:
    """Return what fleet sent last; None without a tag, or with one that fleet did not write."""
    send, *pairs = tags.get(TAG_SENT, "").split(" ")
    values, before = {}, {}
    for pair in pairs:
        key, _, value = pair.partition("=")
        newest, _, older = value.partition("/")
        if not _TOKEN.fullmatch(newest):
            return None
        values[key] = newest
        if older:
            before[key] = older
    return LastSent(send, values, before) if values else None


@dataclass(frozen=True, slots=True)
class Difference:
    """A value that is not as wanted.

    Attributes:
        sent: what fleet sent last, as in the tag; "" when that is not known.
        rollout: that sent it, or "".
        is_by_hand: whether fleet did not send what is there.
    """

    field: SettingField
    seen: Any
    wanted: Any
    sent: str
    rollout: str
    is_by_hand: bool

    @property
    def is_count(self) -> bool:
        """Return whether it is the desired count."""
        return self.field.path == (COUNT,)

    @property
    def was_sent(self) -> bool:
        """Return whether what is there is what fleet sent last."""
        return bool(self.sent) and not self.is_by_hand

    @property
    def words(self) -> str:
        """Say what is there, as ``desired count 3, set by somebody; fleet sent 1 with ro-7``."""
        now = f"{self.field.words} {_words(self.seen)}"
        if not self.is_by_hand:
            return f"{now}, expected {_words(self.wanted)}{self._by}"
        if not self.sent:
            return f"{now}, which fleet is not known to have sent; it sends {_words(self.wanted)}"
        return f"{now}, set by somebody; fleet sent {self._sent_words}{self._with}"

    @property
    def step(self) -> str:
        """Say what is sent, as ``breaker count 1 -> 2``."""
        return f"{self.field.words} {_words(self.seen)} -> {_words(self.wanted)}"

    @property
    def expected(self) -> str:
        """Say what is wanted, as ``breaker count 1``."""
        return f"{self.field.words} {_words(self.wanted)}"

    @property
    def _sent_words(self) -> str:
        if self.sent == _token(self.wanted):
            return _words(self.wanted)
        # Of a list the tag holds a digest only.
        return self.sent if isinstance(self.wanted, str | int) else "another"

    @property
    def _with(self) -> str:
        return f" with {self.rollout}" if self.rollout else ""

    @property
    def _by(self) -> str:
        return f" (fleet sent {_words(self.seen)}{self._with})" if self.was_sent else ""


def compare(
    wanted: Mapping[str, Any],
    service: ServiceState,
    *,
    counts: Collection[int] = (),
    send: str = "",
) -> tuple[Difference, ...]:
    """Return the values that are not as wanted; what ECS does not show is left out.

    Args:
        wanted: input of UpdateService; with ``desiredCount`` where that is compared.
        counts: desired counts that fleet may have sent, for a service without the tag.
        send: the send for which this is asked. When the tag names it, the call itself may not have
            gone out, and then what was sent before is there.
    """
    seen = {**service.settings, COUNT: service.desired}
    unlike = {key for key, value in wanted.items() if key in seen and value != seen[key]}
    asked_for = [
        each
        for each in FIELDS
        if each.path[0] in unlike and _at(wanted, each.path) != _at(seen, each.path)
    ]
    # Of 10,000 services most are as wanted to the letter.
    if not asked_for:
        return ()
    last = last_sent(service.tags)
    one, other = normal_form(wanted, SERVICE_RULES), normal_form(seen, SERVICE_RULES)
    found = []
    for each in asked_for:
        there, asked = _at(other, each.path), _at(one, each.path)
        if there == asked:
            continue
        sent = last.values.get(each.key, "") if last else ""
        if last is None or not sent:
            ours = there in counts if each.path == (COUNT,) else each.was_sent(there)
        else:
            ours = _token(there) == sent or (
                last.send == send and _token(there) == last.before.get(each.key)
            )
        found.append(
            Difference(
                each,
                _at(seen, each.path),
                _at(wanted, each.path),
                sent,
                printable(last.rollout) if last and sent else "",
                is_by_hand=not ours,
            )
        )
    return tuple(found)


def told(differences: Iterable[Difference]) -> tuple[Difference, ...]:
    """Return the differences that people are told of: of a breaker that is off, only that."""
    found = tuple(differences)
    off = any(one.field.key == "breaker" for one in found)
    return tuple(
        one
        for one in found
        if not (off and one.field.path[:2] == _BREAKER and one.field.key != "breaker")
    )


def with_kept(wanted: Mapping[str, Any], kept: Iterable[Difference]) -> dict[str, Any]:
    """Return the input of UpdateService with the values of these differences left as they are."""
    made = deepcopy(dict(wanted))
    for one in kept:
        *outer, last = one.field.path
        inner = made
        for key in outer:
            inner = inner[key]
        inner[last] = False if one.seen is None and isinstance(one.wanted, bool) else one.seen
    return _shown(made)


def _shown(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings without what ECS does not show."""
    inner = {
        key: _shown(value) if isinstance(value, Mapping) else value
        for key, value in settings.items()
    }
    return {key: value for key, value in inner.items() if value is not None and value != {}}


def recounted(tags: Mapping[str, str], count: int, send: str) -> str:
    """Return the tag of a send that sets nothing but the count; "" where there is no tag."""
    last = last_sent(tags)
    if last is None:
        return ""
    before = {COUNT_KEY: last.values[COUNT_KEY]} if COUNT_KEY in last.values else {}
    return LastSent(send, {**last.values, COUNT_KEY: str(count)}, before).text


def sent_tag(
    wanted: Mapping[str, Any],
    send: str,
    before: LastSent | None = None,
    kept: Collection[str] = (),
) -> str:
    """Return the tag of a send.

    Args:
        wanted: what is sent, without what is left as it is.
        kept: keys of values that are left as they are: of these the tag goes on saying what fleet
            sent, or nothing where that is not known.
    """
    whole = normal_form(wanted, SERVICE_RULES)
    values, older = {}, {}
    for each in FIELDS:
        if each.path[0] not in wanted:
            continue
        now = _token(_at(whole, each.path))
        known = before.values.get(each.key) if before else None
        if each.key in kept:
            if known is not None:
                values[each.key] = known
            continue
        values[each.key] = now
        if known is not None and known != now:
            older[each.key] = known
    return LastSent(send, values, older).text


def _at(settings: Mapping[str, Any], path: Sequence[str]) -> Any:
    value: Any = settings
    for key in path:
        # A dict, as JSON has it: this is asked often, and an abstract class answers slowly.
        value = value.get(key) if isinstance(value, dict) else None
    return value


def _token(value: Any) -> str:
    """Return a value as the tag holds it: a list by its digest, absent and false as ``off``."""
    if value is None or value is False:
        return "off"
    if value is True:
        return "on"
    text = str(value)
    if isinstance(value, str | int) and _TOKEN.fullmatch(text):
        return text
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def _words(value: Any) -> str:
    """Return a value for people."""
    if value is None or isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, Mapping):
        return printable(
            " ".join(str(value[key]) for key in ("type", "expression") if value.get(key))
        )
    if isinstance(value, Sequence) and not isinstance(value, str):
        return printable(" and ".join(map(_words, value)), limit=_SHOWN) or "none"
    return printable(str(value), limit=_SHOWN)
