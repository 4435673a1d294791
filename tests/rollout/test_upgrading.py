"""A controller that is upgraded in the middle of a rollout."""

from dataclasses import replace
from pathlib import Path

from fleet.model.darkness import Survey
from fleet.model.restarts import Restarts
from fleet.model.rollout import Phase
from fleet.model.verdicts import Stage, Verdict
from fleet.records.opening import open_records
from tests.rollout.version_3 import turn_back
from tests.shops import STORES, Shops

CANARY, SECOND, THIRD = STORES


def test_a_rollout_of_version_3_goes_on_where_it_was(shops: Shops, tmp_path: Path) -> None:
    shops.start()
    while shops.row(SECOND).stage is not Stage.SENT:
        ticked = shops.tick()
        assert ticked.settled.wake_at is not None
        shops.pass_by(max(1.0, (ticked.settled.wake_at - shops.now()).total_seconds()))
    before = shops.records.rollouts.changes("ro-1")
    assert [change.verdict for change in before[:2]] == [Verdict.OK, Verdict.WAITING]
    shops.records.close()
    turn_back(tmp_path / "state" / "fleet.db")

    with open_records(None, tmp_path / "state") as records:
        # Version 3 made no surveys and read no restarts.
        assert records.rollouts.changes("ro-1") == tuple(
            replace(change, observed=replace(change.observed, survey=Survey(), restarts=Restarts()))
            for change in before
        )
        shops.records = records
        shops.crew = replace(shops.crew, wiring=replace(shops.wiring, records=records))
        ended = shops.run()

    assert (ended.phase, ended.why) == (Phase.DONE, "3 ok")
    assert len(shops.actions("UpdateService")) == len(STORES)
