"""What would be fixed, what is left and why, and what came of it, for people and machines."""

import io
import json
from dataclasses import replace

from rich.console import Console, RenderableType

from fleet.drift.view.fixes import SHOWN, counts, fixes_document, plan_view, result_view
from fleet.model.fixing import Already, Fix, Fixed, FixPlan, Left, Outcome
from tests.drift.decide import fix_parts as parts
from tests.drift.decide import night_parts

FIX = parts.fix(parts.twin(), parts.seen(parts.KEEP, parts.DEAD))
MARKS = Fix(parts.untagged_node(), "tag node mi-1", (), "its instance says so")
REFUSED = Left(parts.ghost(), "its node may still answer")
BY_HAND = Left(night_parts.finding("SITE_DARK"), "a person decides", by_hand=True)
GONE = Already(parts.stale_activation(), "SSM does not know it any more")
PLAN = FixPlan("drift-7f3a", (FIX,), (REFUSED, BY_HAND, BY_HAND), (GONE,))


def text(view: RenderableType, width: int = 400) -> str:
    out = io.StringIO()
    Console(file=out, width=width, markup=False, highlight=False).print(view)
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines())


def test_a_plan_says_what_would_be_done_where_by_which_call_and_why_it_is_safe() -> None:
    lines = text(plan_view(PLAN, 400)).splitlines()
    assert lines[0] == "FIX  1 finding, 1 deregistration · 3 findings left · scan drift-7f3a"
    (line,) = [one for one in lines if one.startswith("store-042/tel-1  TWIN")]
    assert "deregister container instance aaaa-old (ecs:DeregisterContainerInstance): " in line
    assert "no task is on it" in line


def test_what_is_left_says_why_and_what_is_for_people_is_counted() -> None:
    shown = text(plan_view(PLAN, 400))
    assert "store-042/tel-1  GHOST_INSTANCE  its node may still answer" in shown
    assert "FOR PEOPLE  SITE_DARK 2" in shown
    assert "GONE  store-042/tel-1 ACTIVATION_OPEN: SSM does not know it any more" in shown


def test_a_plan_of_nothing_says_so() -> None:
    assert text(plan_view(FixPlan("drift-1"), 80)) == (
        "FIX  nothing to do · 0 findings left · scan drift-1"
    )


def test_a_long_plan_is_cut_and_counted() -> None:
    long = replace(PLAN, fixes=(MARKS,) * (SHOWN + 7))
    assert "and 7 more: --json has all" in text(plan_view(long, 400))


def test_what_failed_comes_before_what_was_done() -> None:
    done = [Fixed(FIX, Outcome.DONE, "fine"), Fixed(MARKS, Outcome.FAILED, "AccessDenied")]
    first, second, third, last = text(result_view(done, "fix-7f3a", 400)).splitlines()
    assert first.split()[:3] == ["WHERE", "FINDING", "RESULT"]
    assert "failed" in second
    assert "AccessDenied" in second
    assert "done" in third
    assert last == "1 done, 1 failed · run fix-7f3a"


def test_every_outcome_is_counted_by_its_own_name() -> None:
    done = [Fixed(FIX, outcome, "") for outcome in Outcome]
    assert counts(done) == "1 done, 1 already, 1 refused, 1 failed, 1 not-begun"


def test_the_document_holds_the_exact_calls_and_no_outcome_before_anything_was_done() -> None:
    document = json.loads(json.dumps(fixes_document(PLAN)))
    assert (document["version"], document["kind"]) == (1, "drift-fixes")
    (fix,) = document["fixes"]
    assert (fix["outcome"], document["run"]) == (None, None)
    assert fix["calls"] == [
        {
            "action": "ecs:DeregisterContainerInstance",
            "arguments": {
                "cluster": parts.DEAD.cluster,
                "instance": parts.DEAD.arn,
                "force": False,
            },
        }
    ]
    assert [one["by_hand"] for one in document["left"]] == [False, True, True]
    assert [one["code"] for one in document["already"]] == ["ACTIVATION_OPEN"]


def test_the_document_holds_what_came_of_each() -> None:
    document = fixes_document(PLAN, [Fixed(FIX, Outcome.REFUSED, "it changed")], "fix-7f3a")
    (fix,) = document["fixes"]
    assert (fix["outcome"], fix["detail"], document["run"]) == ("refused", "it changed", "fix-7f3a")


def test_names_that_came_from_aws_do_not_reach_the_terminal_raw() -> None:
    nasty = replace(FIX, what="deregister \x1b[2Jx")
    shown = text(plan_view(replace(PLAN, fixes=(nasty,)), 400))
    assert "\x1b[2J" not in shown
