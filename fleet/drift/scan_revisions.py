"""Reads the task definitions that services run: contents, and which are deregistered."""

from collections.abc import Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass, field, replace

from fleet.aws.task_definitions import still_active
from fleet.errors import AwsError, RecordsError
from fleet.model.desired import Release
from fleet.model.drift import Reconciled, ShardSeen, StoreState, Unread
from fleet.model.observed import NotRead
from fleet.release.revisions import Key, RevisionContents, read_contents
from fleet.runtime.wiring import Wiring

#: States that say more of a store than that something of it was not read.
_STANDING = frozenset({StoreState.NOT_COUNTED, StoreState.DARK})


@dataclass(frozen=True, slots=True)
class Revisions:
    """What is known of the revisions that run.

    Attributes:
        contents: content address by ARN; "" for one that is none of fleet's.
        alike: by the content of an older release, the one of this release that means the same.
        revoked: ARNs of those that were deregistered or deleted.
        unread: where that could not be read.
        stores: ids of the stores that run something that could not be read.
    """

    contents: Mapping[str, str] = field(default_factory=dict)
    alike: Mapping[str, str] = field(default_factory=dict)
    revoked: frozenset[str] = frozenset()
    unread: tuple[Unread, ...] = ()
    stores: frozenset[str] = frozenset()


def read_revisions(
    wiring: Wiring, release: Release | NotRead, shards: Sequence[ShardSeen], notes: list[str]
) -> Revisions:
    """Ask once for every revision that the records do not know, and once per family.

    Args:
        release: without it nothing can be compared, and nothing is asked.
        notes: told when the records are away.
    """
    if isinstance(release, NotRead):
        return Revisions()
    running = _running(release, shards)
    if not running:
        return Revisions()
    keys = {arn: key for (key, arn) in running}
    with ThreadPoolExecutor(wiring.workers) as pool:
        contents = _contents(wiring, release, keys, pool, notes)
        families = sorted({(keys[arn], _family(arn)) for arn in keys})
        of_family = {
            one: [arn for arn in keys if (keys[arn], _family(arn)) == one] for one in families
        }
        asked = pool.map(lambda one: _revoked(wiring, one[0], one[1], of_family[one]), families)
        answers = dict(zip(families, asked, strict=True))
    gaps: list[tuple[Key, str, str, frozenset[str]]] = [
        (keys[arn], f"ECS task definition {arn.rpartition('/')[2]}", why, running[keys[arn], arn])
        for arn, why in sorted(contents.failed.items())
    ]
    revoked: set[str] = set()
    for (key, family), answer in answers.items():
        if isinstance(answer, NotRead):
            stores = (running[key, arn] for arn in of_family[key, family])
            what = f"ECS revisions of {family}"
            gaps.append((key, what, answer.why, frozenset[str]().union(*stores)))
        else:
            revoked |= answer
    return Revisions(
        contents.contents,
        contents.alike,
        frozenset(revoked),
        tuple(Unread(*key, "", what, why, len(stores)) for key, what, why, stores in gaps),
        frozenset(store for *_rest, stores in gaps for store in stores),
    )


def with_unread(found: Reconciled, revisions: Revisions) -> Reconciled:
    """Add that it is not known what some stores run."""
    if not revisions.unread:
        return found
    states = {
        store: StoreState.NOT_VERIFIED
        if store in revisions.stores and state not in _STANDING
        else state
        for store, state in found.states.items()
    }
    return replace(found, unread=(*found.unread, *revisions.unread), states=states)


def _running(
    release: Release, shards: Sequence[ShardSeen]
) -> dict[tuple[Key, str], frozenset[str]]:
    """Return the stores by account and region and ARN of what services of the release run."""
    found: dict[tuple[Key, str], set[str]] = {}
    for shard in shards:
        key = shard.account, shard.region
        for store, seen in shard.stores.items():
            if isinstance(seen.services, NotRead):
                continue
            for service in seen.services.value:
                if service.name in release.shapes and service.task_definition:
                    found.setdefault((key, service.task_definition), set()).add(store)
    return {each: frozenset(stores) for each, stores in found.items()}


def _family(arn: str) -> str:
    return arn.rpartition("/")[2].rpartition(":")[0]


def _contents(
    wiring: Wiring,
    release: Release,
    keys: Mapping[str, Key],
    pool: Executor,
    notes: list[str],
) -> RevisionContents:
    try:
        return read_contents(wiring, release, keys, pool)
    except RecordsError as error:
        notes.append(f"revisions were asked for at AWS again: {error}")
        return read_contents(wiring, release, keys, pool, remembered=False)


def _revoked(
    wiring: Wiring, key: Key, family: str, arns: Sequence[str]
) -> frozenset[str] | NotRead:
    shard = wiring.shard(wiring.fleet.accounts[key[0]], key[1])
    try:
        return frozenset(arns) - still_active(shard, family, arns)
    except AwsError as error:
        return NotRead(str(error))
