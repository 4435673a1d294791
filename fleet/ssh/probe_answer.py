"""Reads what a host answers to the probe, without trusting any of it."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime

from fleet.model.drift import Probe, ProbedContainer
from fleet.model.observed import NotRead
from fleet.model.printable import printable

#: Characters of any one word of a host that are kept.
LONGEST = 512
_NUMBER = re.compile(r"-?\d{1,15}(\.\d{1,12})?", re.ASCII)
_COUNT = re.compile(r"\d{1,9}", re.ASCII)
#: Words of a line about a container.
_WORDS = 9
#: How docker writes that something has not happened.
_NEVER = "0001-01-01T00:00:00"
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}", re.ASCII)
#: docker writes nanoseconds, which datetime does not read.
_MOMENT = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(\.\d{1,9})?Z", re.ASCII)


def is_whole(text: str) -> bool:
    """Tell whether the answer has its end: Run Command cuts long outputs."""
    return "\nend" in f"\n{text.rstrip()}"[-5:]


def read_answer(text: str, *, after: datetime, before: datetime, via: str) -> Probe | NotRead:
    """Parse the answer of a host that was asked; nothing in it is trusted.

    Args:
        text: all that it printed.
        after: the earliest moment at which it can have been asked, by AWS's clock or ours.
        before: the latest at which it can have answered. The host's clock is off by what it lies
            outside of these two; inside, nobody can tell, and it is taken to be right.
        via: ``ssm`` or ``ssh``.
    """
    start = text.find("fleet-probe 1")
    if start < 0 or not is_whole(text):
        return NotRead("its answer was cut off or is none")
    said: dict[str, str] = {}
    containers: list[str] = []
    images: dict[str, str] = {}
    restarts: dict[str, str] = {}
    ends: dict[str, str] = {}
    for line in text[start:].splitlines():
        name, _, rest = line.partition(" ")
        if name == "c":
            containers.append(rest)
        elif name in {"i", "m", "e"}:
            of, _, told = rest.partition("|")
            {"i": images, "m": restarts, "e": ends}[name][of] = told
        else:
            said[name] = rest.strip()
    if said.get("docker") != "ok":
        return NotRead("docker on it does not answer")
    free, _, total = said.get("disk", "").partition(" ")
    theirs = _number(said.get("time", ""))
    if _number(free) is None or _number(total) is None or theirs is None:
        return NotRead("its answer makes no sense")
    hottest, booted = _number(said.get("temperature", "")), _number(said.get("boot", ""))
    return Probe(
        containers=tuple(_read_containers(containers, images, restarts, ends)),
        disk_free_mb=int((_number(free) or 0) // 1024),
        disk_total_mb=int((_number(total) or 0) // 1024),
        temperature_c=None if hottest is None else hottest / 1000,
        clock_offset_s=_offset(theirs, after.timestamp(), before.timestamp()),
        booted_at=None if booted is None else datetime.fromtimestamp(booted, UTC),
        via=via,
        machine_id=printable(said.get("machine", ""), limit=64),
    )


def _offset(theirs: float, after: float, before: float) -> float:
    if after <= theirs <= before:
        return 0.0
    return theirs - before if theirs > before else theirs - after


def _whole(text: str) -> int | None:
    return int(text) if _COUNT.fullmatch(text) else None


def _number(text: str) -> float | None:
    return float(text) if _NUMBER.fullmatch(text) else None


def _read_containers(
    lines: list[str],
    images: dict[str, str],
    restarts: dict[str, str],
    ends: dict[str, str],
) -> Iterator[ProbedContainer]:
    for line in lines:
        words = [printable(word, limit=LONGEST) for word in line.split("|")]
        if len(words) != _WORDS:
            continue
        image, started, task, container, name, reference, created, finished, revision = words
        ended, _, code = ends.get(name, "").partition("|")
        yield ProbedContainer(
            task_arn=task,
            container=container or name.removeprefix("/"),
            image=reference,
            digest=_digest(reference, image, images),
            started_at=_moment(started),
            name=name.removeprefix("/"),
            created_at=_moment(created),
            finished_at=_moment(finished),
            revision="" if revision == ":" else revision,
            restarts=_whole(restarts.get(name, "")),
            ends=_whole(ended),
            last_exit=_whole(code),
        )


def _digest(reference: str, image: str, images: dict[str, str]) -> str:
    """Return the digest of the image's reference, else the one that docker knows for it."""
    pinned = _DIGEST.search(reference)
    if pinned is not None:
        return pinned[0]
    repository = reference.rpartition(":")[0] if ":" in reference.rpartition("/")[2] else reference
    known = images.get(image, "").split()
    own = [one for one in known if one.partition("@")[0] == repository]
    found = _DIGEST.search((own or known or [""])[0])
    return found[0] if found else ""


def _moment(text: str) -> datetime | None:
    match = _MOMENT.fullmatch(text)
    if match is None:
        return None
    if match[1] == _NEVER:
        return None
    fraction = (match[2] or "")[:7]
    try:
        return datetime.fromisoformat(f"{match[1]}{fraction}+00:00")
    except ValueError:
        return None
