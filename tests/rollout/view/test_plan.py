"""A plan as people and machines read it: unknown first, every refusal with its reason, lossless."""

import io
import json
from dataclasses import replace
from datetime import time
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from fleet.model.hours import OpenSpan
from fleet.model.inventory import Lifecycle, Link
from fleet.model.plan import Plan
from fleet.model.policy import AfterCanary, Amount, Policy, Window
from fleet.model.services import StoreView
from fleet.rollout.decide.plan_digest import digest_of
from fleet.rollout.plan_request import plan_document, plan_from_document
from fleet.rollout.view.plan import plan_markdown, plan_view
from tests.reading import in_order
from tests.rollout.decide import plans
from tests.rollout.decide.plans import plan, service, shop, view


def text(made: Plan, width: int = 100) -> str:
    stream = io.StringIO()
    Console(file=stream, width=width).print(plan_view(made, width))
    return stream.getvalue()


def mixed(count: int = 6, **more: Any) -> Plan:
    """A store of every kind: changed, owed, not read, paused, new."""
    stores = [shop(n, link=(plans.LTE, Link("fibre"))[n % 2]) for n in range(count)]
    stores[3] = replace(stores[3], lifecycle=Lifecycle.PAUSED)
    seen: list[StoreView] = [view(s) for s in stores]
    seen[1] = plans.dark(stores[1])
    seen[2] = StoreView("store-002", plans.NOW, problem="AccessDenied: ecs:ListServices")
    seen[4] = replace(seen[4], services=())
    return plan(stores, seen, **{"canary": True, **more})


def test_what_was_not_read_comes_before_what_was_found() -> None:
    assert in_order(text(mixed()), ["NOT READ 1 store", "AccessDenied", "4 of 6 stores change"])


def test_the_totals_count_services_by_what_happens_to_them() -> None:
    assert "Services: create 1, update 2, owed 1, left alone 1" in text(mixed())


def test_a_difference_is_shown_once_with_the_stores_that_it_touches() -> None:
    found = text(mixed(), 200)
    assert found.count("~ ingest.image") == 1
    # As many as the totals say: update 2, owed 1.
    assert "telemetry-amd64: update in 2 stores, owed by 1 store, now telemetry-amd64:41" in found


def test_each_of_few_stores_has_a_line_with_its_wave_and_its_reason() -> None:
    rows = [line for line in text(mixed()).splitlines() if line.startswith("store-001")]
    assert rows[0].split() == [
        *("store-001", "wave", "1", "telemetry-amd64", "owed", "tel-1", "is", "not", "connected")
    ]


def test_of_many_stores_only_those_are_shown_that_differ_from_the_rest() -> None:
    found = text(mixed(60))
    assert "Stores to know of" in found
    assert "store-001  wave" in found
    assert "store-040  wave" not in found


def test_what_is_left_alone_says_why() -> None:
    assert in_order(text(mixed()), ["Left alone: 1 service", "store-003", "the store is paused"])


def test_the_canary_tells_which_strata_it_covers() -> None:
    found = text(mixed())
    assert "2 of 4 stores, 2 of 2 strata covered; then it goes on by itself" in found
    assert "nuc · lte    store-004" in found


def test_a_policy_that_waits_for_a_person_says_so() -> None:
    asking = replace(plans.STANDARD, after_canary=AfterCanary.PROMOTE)
    assert "then it waits for `fleet rollout promote`" in text(mixed(policy=asking))


@pytest.mark.parametrize(
    ("policy", "words"),
    [
        (plans.STANDARD, "any time"),
        (replace(plans.STANDARD, window=Window.CLOSED), "while a store is closed"),
        (
            replace(plans.STANDARD, between=OpenSpan(time(1), time(5))),
            "01:00-05:00 store time",
        ),
        (
            replace(plans.STANDARD, window=Window.CLOSED, quiet_hours=OpenSpan(time(2), time(4))),
            "by its own opening hours; 02:00-04:00 where it never closes",
        ),
    ],
)
def test_the_window_is_told(policy: Any, words: str) -> None:
    assert words in text(mixed(policy=policy))


def test_calls_time_bytes_and_cost_are_told() -> None:
    found = text(mixed())
    assert "at most 400.0 MB pulled, 200.0 MB over metered links, about 0.90" in found
    assert "ecs service modify" in found
    assert "at the earliest about" in found


def test_an_unknown_size_is_said_and_not_guessed() -> None:
    made = plan([shop()], release=plans.release([shop()], images={}))
    assert "nobody can tell: an image's size is unknown" in text(made, 200)
    assert plans.NEW_IMAGE in text(made, 200)


def test_a_plan_that_changes_nothing_has_no_waves_and_costs_nothing() -> None:
    found = text(plan([shop()], [view(shop(), service(plans.arn(42)))]))
    assert "0 of 1 store change. Services: unchanged 1" in found
    assert "wave" not in found
    assert "costs" not in found


def test_a_refusal_says_why() -> None:
    always = dict.fromkeys(range(7), (OpenSpan(time(0), time(0)),))
    closed = replace(plans.STANDARD, window=Window.CLOSED)
    found = text(plan([shop(hours=always)], policy=closed), 300)
    assert in_order(found, ["This plan cannot be run", "REFUSED", "quiet_hours:"])


@pytest.mark.parametrize("width", [60, 80, 120])
def test_nothing_is_wider_than_the_terminal(width: int) -> None:
    lines = text(mixed(60), width).splitlines()
    assert max(len(line.rstrip()) for line in lines) <= width


def test_the_markdown_has_the_difference_as_code_and_tables() -> None:
    found = plan_markdown(mixed())
    assert "```diff\n~ ingest.image" in found
    assert "| STORE | WHY |\n| --- | --- |\n| store-002 | AccessDenied" in found


def test_what_would_be_markup_is_plain_text_in_markdown() -> None:
    made = plan([shop()], [StoreView("store-042", plans.NOW, problem="a|b <img> _x_ `c|d`\n# e")])
    row = next(line for line in plan_markdown(made).splitlines() if "store-042" in line)
    assert row == r"| store-042 | a\|b \<img\> \_x\_ `c\|d` \# e |"


def test_code_cannot_be_closed_by_a_difference() -> None:
    made = replace(mixed(), diffs=dict.fromkeys(mixed().diffs, ("+ x  ```",)))
    assert "````diff\n+ x  ```\n````" in plan_markdown(made)


# The document.


def through_json(made: Plan) -> Any:
    return json.loads(json.dumps(plan_document(made)))


def test_a_document_says_what_it_is_and_counts() -> None:
    document = plan_document(mixed())
    assert (document["version"], document["kind"]) == (1, "rollout-plan")
    assert document["totals"]["stores_changed"] == 4
    assert document["totals"]["left"] == 1


AMOUNTS = st.integers(0, 9).map(lambda n: Amount(count=n)) | st.decimals(
    0, 100, places=1, allow_nan=False
).map(lambda part: Amount(percent=Decimal(part)))


POLICIES = st.builds(
    replace,
    st.just(plans.STANDARD),
    concurrency=AMOUNTS,
    success=st.floats(0.1, 1),
    window=st.sampled_from(Window),
    between=st.none() | st.just(OpenSpan(time(1, 30), time(5))),
)


@given(st.integers(6, 12), st.integers(0, 2**40), st.booleans(), POLICIES)
def test_a_plan_comes_back_from_its_document_as_it_was(
    count: int, seed: int, canary: bool, policy: Policy
) -> None:
    made = mixed(count, seed=seed, canary=canary, policy=policy)
    assert plan_from_document(through_json(made)) == made


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"kind": "register-plan"}, "it is no rollout plan"),
        ({"version": 2}, "it is of version 2, not 1"),
        ({"plan": None}, "it was edited since it was written"),
    ],
)
def test_another_document_is_refused(change: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        plan_from_document({**through_json(mixed()), **change})


def test_a_document_that_is_no_object_is_refused() -> None:
    with pytest.raises(ValueError, match="no rollout plan"):
        plan_from_document([1])


def test_a_field_that_is_unknown_is_named_with_its_place() -> None:
    document = through_json(mixed())
    document["plan"]["policy"]["speed"] = 9
    document["digest"] = digest_of(document)
    with pytest.raises(ValueError, match=r"Plan\.policy: speed is unknown"):
        plan_from_document(document)


def test_a_task_definition_that_was_edited_is_refused() -> None:
    document = through_json(mixed())
    (definition,) = document["plan"]["release"]["task_definitions"].values()
    definition["body"]["containerDefinitions"][0]["image"] = "evil"
    with pytest.raises(ValueError, match="was edited"):
        plan_from_document(document)


def weighed(*weights: int, **limits: str) -> Plan:
    stores = [shop(n, weight=Decimal(weight)) for n, weight in enumerate(weights)]
    shares: dict[str, Any] = {key: Amount(percent=Decimal(share)) for key, share in limits.items()}
    return plan(stores, policy=replace(plans.STANDARD, waves=(ALL,), **shares))


ALL = Amount(percent=Decimal(100))


def test_a_plan_shows_the_weight_of_each_wave_beside_its_limit() -> None:
    found = text(weighed(20, 20, 20, 40, max_weight_per_wave="40", max_weight_in_flight="20"), 120)
    rows = [line.split()[:7] for line in found.splitlines() if line.startswith("wave ")]
    assert sorted(row[3:] for row in rows) == [
        ["20", "%,", "limit", "40%"],
        ["40", "%,", "limit", "40%"],
        ["40", "%,", "limit", "40%"],
    ]
    assert "at most 20% of the weight in flight" in found


def test_a_plan_names_the_stores_that_are_heavier_than_a_limit() -> None:
    made = weighed(30, 30, 40, max_weight_per_wave="39", max_weight_in_flight="40")
    assert made.notes == (
        "heavier than max_weight_per_wave, 39%: store-002 (40 %); each is a wave of its own",
    )


def test_a_plan_without_weights_has_no_column_for_them() -> None:
    assert "WEIGHT" not in text(mixed())


def test_a_plan_with_weights_is_saved_without_loss() -> None:
    made = weighed(1, 2, max_weight_per_wave="60")
    assert plan_from_document(json.loads(json.dumps(plan_document(made)))) == made
