"""Parses AWS's replies; a reply without a required field is an error.

Texts that hosts report about themselves are made printable: a shop host must not be able to write
to the operator's screen by way of AWS.
"""

from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from functools import wraps
from itertools import islice
from typing import Any, ParamSpec, TypeVar

from fleet.aws.calls import Reply
from fleet.aws.session import Shard
from fleet.errors import AwsError
from fleet.model.aws_actions import Action
from fleet.model.observed import Reading
from fleet.model.printable import printable

P = ParamSpec("P")
T = TypeVar("T")


def read_pages(shard: Shard, action: Action, **parameters: Any) -> Reading[list[Any]]:
    """Return the items of all pages of a listing, as old as the oldest page."""
    found: list[Any] = []
    times: list[datetime] = []
    for reply in shard.pages(action, **parameters):
        times.append(reply.at)
        found += items(reply, action)
    return Reading(found, shard.oldest(times))


def read_batches(
    shard: Shard,
    action: Action,
    key: str,
    values: Iterable[str],
    size: int,
    *,
    each: bool = False,
    **parameters: Any,
) -> Reading[list[Any]]:
    """Describe values, so many a call, and return what AWS knows of them.

    Args:
        key: of the request, for the values.
        values: names, ids or ARNs; repeated ones are asked for once.
        size: most values of one call.
        each: whether to refuse an answer that passes some over. AWS names every one, among the
            items or as MISSING; nothing is known of one that is in neither.

    Raises:
        AwsError: besides what ``Shard.call`` raises, a failure that is not MISSING.
    """
    found: list[Any] = []
    times: list[datetime] = []
    for batch in in_batches(dict.fromkeys(values), size):
        reply = shard.call(action, **{key: list(batch)}, **parameters)
        times.append(reply.at)
        _refuse_failures(reply, action)
        described = items(reply, action)
        if each and len(described) + len(reply.body.get("failures") or ()) < len(batch):
            raise unreadable(action, f"it passes over {action.answers} that were asked for")
        found += described
    return Reading(found, shard.oldest(times))


def none_if_gone(shard: Shard, ask: Callable[[], Reading[list[Any]]]) -> Reading[list[Any]]:
    """Return the answer, or an empty one when the cluster or the service is not there."""
    try:
        return ask()
    except AwsError as error:
        if error.code not in {"ClusterNotFoundException", "ServiceNotFoundException"}:
            raise
        return Reading([], shard.clock.now())


def items(reply: Reply, action: Action) -> list[Any]:
    """Return the list of a reply, which must be there: an empty reply is not an empty list."""
    found = reply.body.get(action.answers)
    if not isinstance(found, list):
        raise unreadable(action, f"{action.answers} is missing")
    return found


def in_batches(values: Iterable[T], size: int) -> Iterator[tuple[T, ...]]:
    """Yield the values in order, at most ``size`` at a time."""
    rest = iter(values)
    while batch := tuple(islice(rest, size)):
        yield batch


def part_of(action: Action) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """Turn a missing or malformed field into an error that names the action and the field."""

    def decorate(parse: Callable[P, T]) -> Callable[P, T]:
        @wraps(parse)
        def parsed(*args: P.args, **kwargs: P.kwargs) -> T:
            try:
                return parse(*args, **kwargs)
            except KeyError as error:
                raise unreadable(action, f"{error.args[0]} is missing") from None
            except (AttributeError, TypeError, ValueError):
                raise unreadable(action, "a value is of another kind than documented") from None

        return parsed

    return decorate


def unreadable(action: Action, what: str) -> AwsError:
    """Return the error of an answer that is not what AWS documents."""
    return AwsError(f"{action.id}: AWS's answer makes no sense: {what}", operation=action.id)


def clean(value: Any) -> str:
    """Return a text of AWS's without anything that a terminal would obey; "" for None."""
    text = "" if value is None else str(value)
    return text if text.isprintable() else printable(text)


def utc(value: datetime | None) -> datetime | None:
    """Return a time of AWS's in UTC; None where AWS gave none."""
    return None if value is None else value.astimezone(UTC)


def _refuse_failures(reply: Reply, action: Action) -> None:
    """Raise on a failure that is not MISSING, as the answer is not whole then."""
    for failure in reply.body.get("failures") or ():
        reason = clean(failure.get("reason"))
        if reason != "MISSING":
            arn = clean(failure.get("arn"))
            raise AwsError(f"{action.id}: {arn}: {reason}", operation=action.id, code=reason)
