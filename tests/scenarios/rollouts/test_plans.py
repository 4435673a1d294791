"""Plans: what they say before anything is sent, and running one that was saved."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.scenarios.rollouts.conftest import Shops, TakeShops
from tests.scenarios.rollouts.foreground import LOCKED, REFUSED, TWO_FIRST, began, running, slowed

CHANGES = 3

SIGN = {
    "requiresCompatibilities": ["EXTERNAL"],
    "networkMode": "bridge",
    "containerDefinitions": [
        {
            "name": "sign",
            "image": "{{ image }}",
            "essential": True,
            "memoryReservation": 64,
            "environment": [{"name": "VERSION", "value": "{{ version }}"}],
        }
    ],
}


def saved(shops: Shops) -> Path:
    """A plan of everything, in a file."""
    path = shops.folder / "plan.json"
    assert shops.fleet("plan", "--all", "--json", "--out", str(path)).code == CHANGES
    return path


def test_an_unset_shell_variable_selects_no_store_and_not_all(take: TakeShops) -> None:
    shops = take(2)
    shops.release("1.9.0")

    ran = shops.fleet("rollout", "--where", "", "--yes")

    assert (ran.code, ran.out) == (REFUSED, "")
    assert "--where is empty; nothing was done" in ran.err
    assert running(shops, "1.8.3") == shops.stores


def test_a_policy_that_says_canary_begins_with_one_unless_it_is_left_out(take: TakeShops) -> None:
    shops = take(4)
    shops.policy("careful", canary=2)
    shops.release("1.9.0")

    careful = shops.fleet("plan", "--all", "--policy", "careful", "--json").document["plan"]
    without = shops.fleet("plan", "--all", "--policy", "careful", "--no-canary", "--json")
    standard = shops.fleet("plan", "--all", "--json")

    assert [len(wave["stores"]) for wave in careful["waves"] if wave["name"] == "canary"] == [2]
    assert without.document["plan"]["canary"] is standard.document["plan"]["canary"] is False


@pytest.mark.long
def test_a_saved_plan_is_run_once_and_not_again_in_a_world_that_has_moved(
    take: TakeShops,
) -> None:
    shops = take(2)
    shops.release("1.9.0")
    plan = saved(shops)

    ran = shops.fleet("rollout", "--plan-file", str(plan), "--yes")
    again = shops.fleet("rollout", "--plan-file", str(plan), "--yes")

    assert ran.code == 0, ran.err
    assert running(shops, "1.9.0") == shops.stores
    assert again.code == REFUSED
    assert "the world has moved since the plan was made" in again.err
    assert shops.stores[0] in again.err


def test_a_plan_file_whose_words_were_edited_is_refused_and_nothing_is_sent(
    take: TakeShops,
) -> None:
    shops = take(2)
    shops.release("1.9.0")
    path = saved(shops)
    text = path.read_text()

    def said(edit: Callable[[dict[str, Any]], None]) -> str:
        document = json.loads(text)
        edit(document)
        path.write_text(json.dumps(document))
        ran = shops.fleet("rollout", "--plan-file", str(path), "--yes")
        assert ran.code == REFUSED, ran.err
        return ran.err

    def image(document: dict[str, Any]) -> None:
        [one] = document["plan"]["release"]["images"].values()
        one["source"] = "ecr"

    words = "it was edited since it was written"
    assert words in said(lambda d: d["plan"]["changes"][0].update(workload="another"))
    assert words in said(lambda d: d["plan"]["release"]["services"][0].update(hosts=["box-2"]))
    assert words in said(image)
    assert words in said(lambda d: d["totals"].update(stores_changed=1))
    assert "its digest is missing" in said(lambda d: d.pop("digest"))
    assert running(shops, "1.8.3") == shops.stores


def test_a_plan_file_of_fleet_0_1_has_no_digest_and_the_screen_says_so(take: TakeShops) -> None:
    shops = take(2)
    shops.release("1.9.0")
    path = saved(shops)
    document = json.loads(path.read_text())
    del document["digest"], document["plan"]["overwrite"]
    path.write_text(json.dumps(document))

    ran = shops.fleet("rollout", "--plan-file", str(path), "--yes")

    assert ran.code == 0, ran.err
    assert "is of fleet 0.1 and has no digest" in ran.err
    assert running(shops, "1.9.0") == shops.stores


@pytest.mark.long
def test_a_plan_of_nothing_ends_with_0_and_one_of_something_with_3(take: TakeShops) -> None:
    shops = take(2)

    nothing = shops.fleet("plan", "--all")
    shops.release("1.9.0")
    something = shops.fleet("plan", "--all")

    assert (nothing.code, something.code) == (0, CHANGES)
    assert "0 of 2 stores change" in nothing.out
    assert "2 of 2 stores change" in something.out
    assert running(shops, "1.8.3") == shops.stores


@pytest.mark.long
def test_a_rollout_of_nothing_is_done_and_says_so(take: TakeShops) -> None:
    shops = take(2)

    ran = shops.roll()

    assert ran.code == 0
    assert "nothing to roll out; nothing was sent" in ran.err


@pytest.mark.long
def test_a_plan_names_what_somebody_changed_in_the_meantime(take: TakeShops) -> None:
    shops = take(2)
    moved, _ = shops.stores
    shops.release("1.9.0")
    plan = saved(shops)
    service = shops.service(moved)
    shops.aws("ecs").update_service(cluster=moved, service=service["serviceName"], desiredCount=0)

    ran = shops.fleet("rollout", "--plan-file", str(plan), "--yes")

    assert ran.code == REFUSED
    assert moved in ran.err
    assert shops.stores[1] not in ran.err.split("the world has moved")[1]
    assert running(shops, "1.8.3") == shops.stores


@pytest.mark.long
def test_a_plan_file_takes_no_other_words_about_what_is_rolled_out(take: TakeShops) -> None:
    shops = take(2)
    shops.release("1.9.0")
    plan = saved(shops)

    ran = shops.fleet("rollout", "till", "--plan-file", str(plan), "--yes")

    assert ran.code == REFUSED
    assert f"fleet rollout --plan-file {plan}" in ran.err


@pytest.mark.long
def test_a_plan_for_a_pull_request_is_markdown_without_terminal_codes(take: TakeShops) -> None:
    shops = take(2)
    shops.release("1.9.0")

    ran = shops.fleet("plan", "--all", "--format", "md")

    assert ran.code == CHANGES
    assert ran.out.startswith("#")
    assert "\x1b" not in ran.out
    assert "| " in ran.out
    assert all(store in ran.out for store in shops.stores)
    assert "1.8.3" in ran.out
    assert "1.9.0" in ran.out


@pytest.mark.long
def test_a_plan_as_a_document_holds_what_is_shown(take: TakeShops) -> None:
    shops = take(2)
    shops.release("1.9.0")

    document = json.loads(shops.fleet("plan", "--all", "--json").out)

    assert (document["version"], document["kind"]) == (1, "rollout-plan")
    assert document["totals"]["stores_changed"] == 2
    kinds = {change["store"]: change["kind"] for change in document["plan"]["changes"]}
    assert kinds == dict.fromkeys(shops.stores, "update")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--where", "markte=uk"), 'did you mean "market"?'),
        (("--where", "market=mars"), 'no store has label.market "mars"'),
        (("--where", "market=uk and link.kind=none"), "no store"),
        (("--store", "roll"), "no store 'roll' in the inventory (1 store"),
        (("tills",), "did you mean till?"),
        (("--policy", "standrad"), "standard"),
    ],
)
@pytest.mark.long
def test_words_that_mean_nothing_name_the_nearest_that_does(
    take: TakeShops, words: tuple[str, ...], said: str
) -> None:
    shops = take(1)

    ran = shops.fleet("plan", *words)

    assert ran.code == REFUSED
    assert said in ran.err
    assert ran.out == ""


def test_two_rollouts_of_one_shop_and_workload_exclude_each_other(take: TakeShops) -> None:
    shops = take(4)
    shops.policy(**TWO_FIRST)
    shops.release("1.9.0")
    first = began(shops)

    with slowed(shops):
        second = shops.roll("--store", shops.stores[3])
        first.kill()
        first.end()

    assert second.code == LOCKED
    assert f"ro-1 holds {shops.stores[3]} (till) since " in second.err
    assert "started by arn:aws:sts::111122223333:assumed-role/fleet-operator/on-call" in second.err


@pytest.mark.long
def test_another_workload_goes_at_the_same_time(take: TakeShops) -> None:
    shops = take(2)
    shops.policy(bake="20m")
    shops.release("1.9.0")
    first = shops.start("rollout", "till", "--all", "--yes")
    first.wait_for("begins:")
    shops.template(SIGN, "sign")
    shops.release("2.0", workload="sign")

    second = shops.roll("sign")

    assert second.code == 0, second.err
    assert first.end().code == 0
    later, earlier = shops.fleet("rollout", "history", "--json").document["rollouts"]
    assert later["started_at"] < earlier["finished_at"]
    assert {s: shops.runs(s, "sign") for s in shops.stores} == dict.fromkeys(shops.stores, "2.0")
    assert running(shops, "1.9.0") == shops.stores
