"""What people say to a rollout, from other terminals, while it runs or after it."""

import pytest

from tests.scenarios.rollouts.conftest import TakeShops
from tests.scenarios.rollouts.foreground import (
    HALTED,
    TWO_FIRST,
    WAITS,
    began,
    running,
    slowed,
)


@pytest.mark.long
def test_a_pause_is_obeyed_by_whoever_ticks_and_resume_goes_on(take: TakeShops) -> None:
    shops = take(4)
    shops.policy(**TWO_FIRST)
    shops.release("1.9.0")
    foreground = began(shops)

    with slowed(shops):
        paused = shops.fleet("rollout", "pause", "--why", "the till vendor calls")

    ended = foreground.end()
    assert paused.code == 0
    assert "obeys it" in paused.err
    assert ended.code == HALTED
    assert "the till vendor calls" in ended.err
    assert len(running(shops, "1.9.0")) == 2
    assert shops.fleet("rollout", "resume").code == 0
    assert running(shops, "1.9.0") == shops.stores


def test_after_the_canary_it_waits_for_promote(take: TakeShops) -> None:
    shops = take(4)
    shops.policy(canary=2, waves=["100%"], after_canary="promote")
    shops.release("1.9.0")

    waiting = shops.roll("--canary")

    assert waiting.code == WAITS
    assert "fleet rollout promote ro-1" in waiting.out
    assert len(running(shops, "1.9.0")) == 2
    promoted = shops.fleet("rollout", "promote")
    assert promoted.code == 0, promoted.err
    assert running(shops, "1.9.0") == shops.stores


def test_a_stop_of_all_sends_holds_until_it_is_lifted_and_everything_goes_on(
    take: TakeShops,
) -> None:
    shops = take(4)
    shops.policy(**TWO_FIRST)
    shops.release("1.9.0")
    foreground = began(shops)

    with slowed(shops):
        stopped = shops.fleet("stop", "--all", "the till vendor calls")
    shops.pass_time(7200)  # bake and patience would be over
    refused = shops.roll()
    planned = shops.fleet("plan", "--all")
    status = shops.fleet("rollout", "status")

    assert stopped.code == 0
    assert (refused.code, refused.out) == (HALTED, "")
    assert len(running(shops, "1.9.0")) == 2
    for screen in (status.out, planned.err, refused.err):
        assert "the till vendor calls" in " ".join(screen.split())
    assert shops.status()["rollout"]["phase"] == "running"
    lifted = shops.fleet("start", "--yes")
    ended = foreground.end()
    assert "goes on  ro-1" in lifted.err
    assert ended.code == 0, ended.err
    assert "all sending is stopped since" in ended.err
    assert "sending goes on" in ended.err
    assert running(shops, "1.9.0") == shops.stores


def test_what_was_sent_can_be_rolled_back_while_all_sends_are_stopped(take: TakeShops) -> None:
    shops = take(2)
    shops.release("1.9.0")
    assert shops.roll().code == 0
    assert shops.fleet("stop", "--all", "it loses receipts").code == 0

    back = shops.fleet("rollout", "rollback", "--yes")
    drift = shops.fleet("drift")

    assert back.code == 0, back.err
    assert running(shops, "1.8.3") == shops.stores
    assert drift.code == 3
    assert "SENDING_STOPPED" in drift.out
    assert "it loses receipts" in drift.out


@pytest.mark.long
def test_promote_said_early_is_obeyed_when_the_canary_has_passed(take: TakeShops) -> None:
    shops = take(4)
    shops.policy(**TWO_FIRST, after_canary="promote")
    shops.release("1.9.0")
    foreground = began(shops)

    with slowed(shops):
        said = shops.fleet("rollout", "promote")

    assert said.code == 0
    assert "it will go on when the canary has passed" in said.err
    assert foreground.end().code == 0
    assert running(shops, "1.9.0") == shops.stores


@pytest.mark.long
def test_an_abort_sends_nothing_more_and_leaves_what_was_sent(take: TakeShops) -> None:
    shops = take(4)
    shops.policy(**TWO_FIRST)
    shops.release("1.9.0")
    foreground = began(shops)

    with slowed(shops):
        said = shops.fleet("rollout", "abort", "--why", "wrong model")

    ended = foreground.end()
    assert said.code == 0
    assert ended.code == 1
    assert "wrong model" in ended.out
    assert len(running(shops, "1.9.0")) == 2
    # What is over holds nothing: the next one may begin.
    assert shops.roll().code == 0


@pytest.mark.long
def test_a_skipped_shop_is_left_out_and_the_others_go_on(take: TakeShops) -> None:
    shops = take(4)
    shops.policy(**TWO_FIRST)
    shops.release("1.9.0")
    foreground = began(shops)

    with slowed(shops):
        left_out = next(store for store in shops.stores if shops.runs(store) == "1.8.3")
        said = shops.fleet("rollout", "skip", "--store", left_out, "--why", "rebuilding")

    assert said.code == 0
    assert foreground.end().code == 0
    assert shops.runs(left_out) == "1.8.3"
    assert len(running(shops, "1.9.0")) == 3


@pytest.mark.long
def test_what_failed_is_sent_again_on_retry(take: TakeShops) -> None:
    shops = take(2)
    image = shops.release("1.9.0")
    bad = shops.stores[0]
    shops.behave(image, run="crash", exit_code=1, log="licence expired", on=[bad])
    assert shops.roll().code == HALTED
    assert shops.runs(bad) == "1.8.3"
    shops.behave(image)

    again = shops.fleet("rollout", "retry", "--store", bad, "--why", "licence renewed")

    assert again.code == 0, again.err + again.out
    assert shops.runs(bad) == "1.9.0"
    assert shops.status()["rollout"]["phase"] == "halted", "the others were not asked for"
    assert shops.fleet("rollout", "resume").code == 0
    assert running(shops, "1.9.0") == shops.stores


@pytest.mark.long
def test_a_rollback_from_another_terminal_turns_the_foreground_round(take: TakeShops) -> None:
    shops = take(4)
    shops.policy(**TWO_FIRST)
    shops.release("1.9.0")
    foreground = began(shops)

    with slowed(shops):
        said = shops.fleet("rollout", "rollback", "--yes")

    assert said.code == 0
    foreground.end()
    assert running(shops, "1.8.3") == shops.stores
    assert shops.status()["rollout"]["phase"] == "rolled-back"


@pytest.mark.long
def test_a_rollback_returns_every_shop_to_what_it_ran_itself(take: TakeShops) -> None:
    shops = take(2)
    behind, ahead = shops.stores
    shops.release("1.8.4")
    assert shops.roll("--store", ahead).code == 0
    shops.release("1.9.0")
    assert shops.roll().code == 0

    rolled = shops.fleet("rollout", "rollback", "--yes")

    assert rolled.code == 0, rolled.err
    assert (shops.runs(behind), shops.runs(ahead)) == ("1.8.3", "1.8.4")
    assert (shops.serves(behind), shops.serves(ahead)) == ("1.8.3", "1.8.4")
