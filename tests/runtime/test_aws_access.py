"""What crosses to where a job runs: nothing but values, and a way to open AWS there."""

from collections.abc import Mapping
from typing import Any

from fleet.rollout.shard_jobs import run_shard_job
from fleet.runtime.aws_access import ShardAccess
from tests.shops import ACCOUNT, REGION, Shops


def test_the_access_is_opened_where_the_job_runs_and_once_per_job(shops: Shops) -> None:
    opened: list[int] = []

    def open_access() -> ShardAccess:
        opened.append(1)
        return shops.open_access()

    run_shard_job(open_access, shops.job())
    run_shard_job(open_access, shops.job())
    assert len(opened) == 2


def test_the_budget_is_restored_before_the_first_call_and_read_after_the_last(
    shops: Shops,
) -> None:
    order: list[str] = []

    def restore(account: Any, region: str, state: Mapping[str, Any]) -> None:
        assert (account, region, state) == (ACCOUNT, REGION, {"spent": 3})
        order.append(f"restored before {len(shops.asked)} calls")

    def budget(account: Any, region: str) -> Mapping[str, Any]:
        order.append("read after some" if shops.asked else "read before any")
        return {"spent": 4}

    access = ShardAccess(shops, shops.access.shard, budget, restore)
    result = run_shard_job(lambda: access, shops.job(shops.write(), budget={"spent": 3}))
    assert order == ["restored before 0 calls", "read after some"]
    assert result.budget == {"spent": 4}


def test_the_budget_is_told_of_a_job_that_met_trouble_too(shops: Shops) -> None:
    shops.fail("DescribeServices", "ExpiredTokenException", count=9)
    result = run_shard_job(shops.open_access, shops.job(shops.write()))
    assert result.trouble
    assert result.budget == {"spent": 1}
