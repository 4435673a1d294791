"""`fleet drift --fix` as people and machines run it, also when it is killed in the middle."""

import json
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.scenarios.conftest import FLEET, HANGS_S
from tests.scenarios.drift.injections import INJECTIONS
from tests.scenarios.drift.scanning import Scans, open_town, type_in, typing_environment
from tests.scenarios.drift.spots import Spot
from tests.scenarios.drift.test_injections import play
from tests.scenarios.drift.town import Plan, Town

TOWN = Plan(stores=2, hosts={"cam-1": "cam"}, workloads=("vision",))
#: Real seconds that AWS holds a reply back; the command is killed before.
HELD_S = 2 * HANGS_S


class Typed:
    """Two shops in which something is wrong, their clock running, and what is typed there."""

    def __init__(self, town: Town, scans: Scans) -> None:
        self.town, self.scans = town, scans
        wrong = [(INJECTIONS[code], Spot(town, n)) for n, code in enumerate(("ATTRIBUTES", "TWIN"))]
        play(town, [*wrong, (INJECTIONS["NODE_UNTAGGED"], Spot(town, 0))])
        town.clock.set_rate(60)
        town.chain.schedule.start()

    def begin(self, *words: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [*FLEET, "drift", *words],
            cwd=self.town.folder,
            env=typing_environment(self.town),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def run(self, *words: str) -> tuple[int, dict[str, Any]]:
        ran = type_in(self.town, "drift", *words, "--json")
        assert ran.stdout, ran.stderr
        return ran.returncode, json.loads(ran.stdout)

    def audited(self) -> list[str]:
        """The actions that were written down, run by run."""
        latest = self.scans.records.runs()
        runs = [run.id for run in reversed(latest) if run.kind == "fix"]
        return [row.action for id_ in runs for row in self.scans.records.audit_of(id_)]


@pytest.fixture
def typed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Typed]:
    with open_town(tmp_path, monkeypatch, TOWN) as (town, scans):
        yield Typed(town, scans)


@pytest.mark.long
def test_what_was_planned_is_done_once_and_told_with_its_reasons(typed: Typed) -> None:
    planned = typed.run("--fix", "--plan")
    ran = typed.run("--fix", "--yes")
    again = typed.run("--fix", "--plan")

    assert planned[0] == 3
    assert [one["code"] for one in planned[1]["fixes"]] == ["ATTRIBUTES", "NODE_UNTAGGED"]
    assert ran[0] == 3  # a person decides about the twin, which holds a task
    assert {one["outcome"] for one in ran[1]["fixes"]} == {"done"}
    assert [one["code"] for one in ran[1]["left"]] == ["TWIN"]
    assert (again[0], again[1]["fixes"]) == (0, [])


def test_one_that_is_killed_half_way_is_finished_by_the_next(typed: Typed) -> None:
    faults = typed.town.chain.plane.faults
    faults.add("ssm", "AddTagsToResource", "InternalFailure", delay_s=HELD_S)
    with typed.begin("--fix", "--yes") as killed:
        until = time.monotonic() + HANGS_S
        # It is audited before it is called; the fault is used up once the call has reached AWS.
        while list(faults) and time.monotonic() < until:
            time.sleep(0.05)
        killed.kill()

    code, document = typed.run("--fix", "--yes")

    assert typed.audited() == ["ecs:PutAttributes", *["ssm:AddTagsToResource"] * 2]
    assert [(one["code"], one["outcome"]) for one in document["fixes"]] == [
        ("NODE_UNTAGGED", "done")
    ]
    assert code == 3
