"""Ten thousand shops and forty thousand hosts at the rates that AWS publishes, and the naive loop
beside it where that is bearable.
"""

import pytest

from tests.scenarios.drift.measuring import FAST, Took, least, measured, plan_of

STORES = 10_000
#: How much more than the least a scan may take.
SLACK = 1.1
MOST_MEMORY_MB = 600
#: At that size the naive loop takes minutes.
BEARABLE = 100


def holds(took: Took, stores: int, **how: bool) -> float:
    """What holds of every scan; returns the seconds that AWS's rates ask for."""
    calls, seconds = least(plan_of(stores), **how)
    assert [(one["code"], one["store"]) for one in took.document["findings"]] == []
    assert took.code == 0
    assert took.throttled == 0
    assert took.calls.total() <= SLACK * calls, (took.calls, calls)
    assert took.memory_mb < MOST_MEMORY_MB
    return seconds


@pytest.mark.longest
def test_a_night_of_ten_thousand_shops_is_as_quick_and_cheap_as_aws_allows() -> None:
    with measured(STORES) as town:
        first = town.fleet(rate=FAST)
        nightly = town.fleet()
        with_digests = town.fleet("--digests")
    holds(first, STORES, first=True)
    assert nightly.sandbox_s <= SLACK * holds(nightly, STORES)
    assert with_digests.sandbox_s <= SLACK * holds(with_digests, STORES, digests=True)
    assert len(nightly.document["stores"]) == STORES


@pytest.mark.long
def test_the_loop_that_most_teams_write_takes_more_of_everything_but_code() -> None:
    with measured(BEARABLE) as town:
        town.fleet(rate=FAST)
        ours, naive = town.fleet(), town.naive()
    assert naive.document["stores"] == BEARABLE
    assert naive.calls.total() > 3 * ours.calls.total()
    assert naive.sandbox_s > 2 * ours.sandbox_s


@pytest.mark.long
def test_a_small_fleet_costs_no_call_more_than_it_must() -> None:
    with measured(12) as town:
        took = town.fleet(rate=20.0)
        again = town.fleet(rate=20.0)
    holds(took, 12, first=True)
    holds(again, 12)
    assert took.calls.total() == least(plan_of(12), first=True)[0]
    assert again.calls.total() == least(plan_of(12))[0]
