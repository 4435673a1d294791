"""Every file of tests/cases/verdicts, one behaviour each."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from fleet.inventory.hours import parse_span
from fleet.model.rollout import Place
from tests.rollout.decide import verdicts

CASES = sorted((Path(__file__).parents[2] / "cases" / "verdicts").glob("*.yaml"))


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_case(path: Path) -> None:
    case: dict[str, Any] = yaml.safe_load(path.read_text())
    row = verdicts.change(**case.get("change", {}))
    policy = replace(verdicts.POLICY, **case.get("policy", {}))
    looks = [case, *({**case, **then} for then in case.get("then", ()))]
    for said in looks:
        seen = verdicts.view(said)
        got = verdicts.look(
            row,
            seen,
            hosts=tuple(case.get("hosts", {"cam-1": {}})),
            policy=policy,
            health_check=case.get("health_check", False),
            pull_s=case.get("pull_s", 0.0),
            lag_s=said.get("lag", 2.0),
            where=_place(case),
        )
        expect = said["expect"]
        where = f"at {said['at']}: {got}"
        assert got.deeper is expect.get("deeper", False), where
        assert got.change.verdict.value == expect["verdict"], where
        assert expect.get("reason", "") in got.change.reason, where
        assert got.change.stage.value == expect.get("stage", row.stage.value), where
        if "pulls_failed" in expect:
            assert got.change.pulls_failed == expect["pulls_failed"], where
        if "away_since" in expect:
            away = expect["away_since"]
            assert got.change.away_since == (None if away is None else verdicts.after(away)), where
        if "next" in expect:
            assert got.next_look_s == pytest.approx(expect["next"]), where
        row = row if got.deeper else got.changed(seen.at)


def _place(case: dict[str, Any]) -> Place:
    """``open: "01:00-02:00"`` every day; all hosts, or ``switched_off``, have power then only."""
    hosts = tuple(case.get("hosts", {"cam-1": {}}))
    place = verdicts.place(*hosts)
    if "open" not in case:
        return place
    daily = dict.fromkeys(range(7), (parse_span(case["open"]),))
    return replace(place, hours=daily, off_when_closed=tuple(case.get("switched_off", hosts)))


def test_the_folder_is_read() -> None:
    assert len(CASES) > 40
