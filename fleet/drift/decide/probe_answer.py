"""From what ``probe_host.sh`` printed to a Probe; pure, and it trusts nothing it reads."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime

from fleet.model.drift import Probe, ProbedContainer
from fleet.model.observed import NotRead
from fleet.model.printable import printable

#: Characters of any one word of a host that are kept.
LONGEST = 512
_NUMBER = re.compile(r"-?\d{1,15}(\.\d{1,12})?", re.ASCII)
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}", re.ASCII)
#: docker writes nanoseconds, which datetime does not read.
_MOMENT = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(\.\d{1,9})?Z", re.ASCII)


def is_whole(text: str) -> bool:
    """Whether the block has its end: Run Command cuts long outputs."""
    return "\nend" in f"\n{text.rstrip()}"[-5:]


def read_answer(text: str, *, after: datetime, before: datetime, via: str) -> Probe | NotRead:
    """What a host said of itself.

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
    for line in text[start:].splitlines():
        name, _, rest = line.partition(" ")
        if name == "c":
            containers.append(rest)
        elif name == "i":
            image, _, digests = rest.partition("|")
            images[image] = digests
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
        containers=tuple(_containers(containers, images)),
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


def _number(text: str) -> float | None:
    return float(text) if _NUMBER.fullmatch(text) else None


def _containers(lines: list[str], images: dict[str, str]) -> Iterator[ProbedContainer]:
    for line in lines:
        words = [printable(word, limit=LONGEST) for word in line.split("|")]
        if len(words) != len(("image", "started", "task", "container", "name", "reference")):
            continue
        image, started, task, container, name, reference = words
        yield ProbedContainer(
            task_arn=task,
            container=container or name.removeprefix("/"),
            image=reference,
            digest=_digest(reference, image, images),
            started_at=_moment(started),
        )


def _digest(reference: str, image: str, images: dict[str, str]) -> str:
    """The digest under which the image was pulled: of its reference, else of what docker knows."""
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
    fraction = (match[2] or "")[:7]
    try:
        return datetime.fromisoformat(f"{match[1]}{fraction}+00:00")
    except ValueError:
        return None
