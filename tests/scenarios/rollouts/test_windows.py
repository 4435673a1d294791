"""When shops may be changed: opening hours, freezes, and the night in which clocks go back."""

import signal
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from fleet.records.opening import open_records
from tests.scenarios.rollouts.conftest import Chain, Shops, TakeShops, variant_of
from tests.scenarios.rollouts.foreground import (
    began,
    running,
    sent_at,
    slowed,
)

HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)


def at(moment: datetime) -> str:
    """As hours are written; shops live in UTC unless they say otherwise."""
    return f"{moment:%H:%M}"


def span(begins: datetime, ends: datetime) -> dict[str, str]:
    """As a freeze is written."""
    return {"from": f"{begins:%Y-%m-%dT%H:%MZ}", "to": f"{ends:%Y-%m-%dT%H:%MZ}"}


def whole(moment: datetime) -> datetime:
    """The minute that it is in."""
    return moment.replace(second=0, microsecond=0)


def at_night(time: str) -> datetime:
    """A moment of that night, UTC."""
    return datetime.fromisoformat(f"2026-10-25T{time}Z")


def reach(shops: Shops, moment: datetime) -> None:
    """Jump to a moment, which is to come."""
    left = (moment - shops.now()).total_seconds()
    assert left > 0
    shops.pass_time(left)


def test_nothing_is_sent_to_a_shop_before_it_closes(take: TakeShops) -> None:
    shops = take(2)
    closed, opened = shops.stores
    shops.policy(window="closed", waves=["100%"], concurrency="100%")
    begins = whole(shops.now())
    closes = begins + HOUR
    shops.shop(closed, hours={"daily": f"{at(begins - 3 * HOUR)}-{at(begins - 2 * HOUR)}"})
    shops.shop(opened, hours={"daily": f"{at(begins - HOUR)}-{at(closes)}"})
    shops.release("1.9.0")

    foreground = shops.start("rollout", "--all", "--yes")
    foreground.wait_for(f"{closed} {variant_of(closed)} ok ")
    assert running(shops, "1.9.0") == [closed]
    shops.pass_time(3600)

    assert foreground.end().code == 0
    assert sent_at(shops, opened) >= closes
    assert running(shops, "1.9.0") == shops.stores


@pytest.mark.long
def test_what_would_not_be_done_before_the_shop_opens_waits_for_the_next_night(
    take: TakeShops,
) -> None:
    shops = take(1)
    [shop] = shops.stores
    shops.policy(window="closed", finish_by="2h")
    begins = whole(shops.now())
    opens, closes = begins + 90 * MINUTE, begins + 5 * HOUR
    shops.shop(shop, hours={"daily": f"{at(opens)}-{at(closes)}"})
    shops.release("1.9.0")

    foreground = shops.start("rollout", "--all", "--yes")
    foreground.wait_for("begins: 1 store")
    with slowed(shops):
        status = shops.fleet("rollout", "status")
    shops.pass_time(5 * 3600)

    assert "the window ends at" in status.out
    assert foreground.end().code == 0
    assert sent_at(shops, shop) >= closes


@pytest.mark.long
def test_a_freeze_that_begins_in_the_middle_holds_the_next_wave(take: TakeShops) -> None:
    shops = take(4)
    shops.policy(canary=2, waves=["100%"], bake="10m", finish_by="2m")
    freezes = whole(shops.now()) + 10 * MINUTE
    thaws = freezes + HOUR
    shops.freeze("stocktaking", **span(freezes, thaws), reason="everybody counts")
    shops.release("1.9.0")
    foreground = began(shops)
    first = running(shops, "1.9.0")

    foreground.wait_for("wave 1 begins")
    with slowed(shops):
        status = shops.fleet("rollout", "status")
    shops.pass_time(3600)

    ended = foreground.end()
    assert ended.code == 0, ended.err
    assert "freeze stocktaking until" in status.out
    assert len(first) == 2
    assert all(sent_at(shops, store) < freezes for store in first)
    assert all(sent_at(shops, store) >= thaws for store in shops.stores if store not in first)


@pytest.mark.long
def test_a_freeze_is_overridden_with_a_reason_that_is_audited(take: TakeShops) -> None:
    shops = take(2)
    begins = shops.now()
    frozen = span(begins - HOUR, begins + 48 * HOUR)
    shops.freeze("stocktaking", **frozen, reason="everybody counts")
    shops.release("1.9.0")

    planned = shops.fleet("plan", "--all")
    ran = shops.roll("--override-freeze", "tills reject cards, agreed with Ada")

    assert "freeze stocktaking holds" in planned.out
    assert ran.code == 0, ran.err
    assert running(shops, "1.9.0") == shops.stores
    with open_records(None, shops.folder / ".fleet") as records:
        run = next(run for run in records.runs() if run.kind == "rollout")
        [started] = [e for e in records.audit_of(run.id) if e.action == "start rollout"]
    assert "tills reject cards, agreed with Ada" in started.why
    assert ":assumed-role/" in started.caller_arn


@pytest.mark.long
def test_a_dark_shop_is_set_back_when_its_window_closes(take: TakeShops) -> None:
    shops = take(2)
    dark, lit = shops.stores
    opens = whole(shops.now()) + 2 * HOUR
    shops.policy(
        window="closed", canary=2, concurrency="100%", finish_by="10m", bake="6h", patience="9h"
    )
    for store in shops.stores:
        shops.shop(store, hours={"daily": f"{at(opens)}-{at(opens + 9 * HOUR)}"})
    shops.release("1.9.0")
    foreground = began(shops)

    shops.cut(dark)
    foreground.wait_for(f"{dark} {variant_of(dark)} dark")
    before = shops.runs(dark)
    shops.pass_time(2 * 3600)
    foreground.wait_for(f"{dark} till-{variant_of(dark)} back to ")
    foreground.kill(signal.SIGINT)
    foreground.end()

    assert before == "1.9.0"
    assert sent_at(shops, dark) >= opens - 10 * MINUTE
    assert (shops.runs(dark), shops.runs(lit)) == ("1.8.3", "1.9.0")
    shops.restore(dark)
    shops.wait_until(lambda: shops.serves(dark) == "1.8.3")


@pytest.fixture
def autumn(tmp_path: Path) -> Iterator[Chain]:
    """Shops on the day before the clocks of Europe go back."""
    made = Chain(tmp_path, start="2026-10-24T12:00:00Z")
    yield made
    made.down()


@pytest.mark.long
def test_in_the_night_that_has_half_past_one_twice_the_second_one_counts(autumn: Chain) -> None:
    shops = autumn.take(2)
    for store in shops.stores:
        shops.shop(store, time_zone="Europe/London")
    shops.policy(window="closed", between="01:30-04:00", finish_by="10m", bake="2m")
    shops.release("1.9.0")
    first, second = at_night("00:40"), at_night("01:10")  # 01:40 summer time, 01:10 winter time
    reach(shops, at_night("00:10"))
    with slowed(shops):
        foreground = shops.start("rollout", "--all", "--yes")
        foreground.wait_for("begins:")

    for moment in (first, second):
        reach(shops, moment)
        with slowed(shops):
            status = shops.fleet("rollout", "status").out
        assert "outside 01:30-04:00 store time" in status
        assert running(shops, "1.8.3") == shops.stores
    reach(shops, at_night("01:31"))

    ended = foreground.end()
    assert ended.code == 0, ended.err
    assert running(shops, "1.9.0") == shops.stores
    for store in shops.stores:
        assert at_night("01:30") <= sent_at(shops, store) < at_night("04:00")
