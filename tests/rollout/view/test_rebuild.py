"""What a rebuild found: what is not known first, where each store can go back to, what is owed."""

import io
import json

import pytest
from rich.console import Console

from fleet.model.rollout import RebuiltRollout
from fleet.model.verdicts import Verdict
from fleet.rollout.view.rebuild import rebuilt_document, rebuilt_view
from tests import rollouts


def found(added: bool = True, stores: int = 1) -> RebuiltRollout:
    changes = (
        *(rollouts.change(f"store-{n:03}", Verdict.OK) for n in range(1, stores + 1)),
        rollouts.change("store-900", Verdict.FAILED, target=""),
    )
    return RebuiltRollout("ro-118", rollouts.spec(), rollouts.BEGAN, changes, added)


def drawn(*rows: RebuiltRollout, width: int = 120, **unread: str) -> str:
    out = io.StringIO()
    Console(file=out, width=width, markup=False, highlight=False).print(
        rebuilt_view(rows, unread, rollouts.NOW, width)
    )
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines())


def test_what_was_not_read_comes_first() -> None:
    text = drawn(found(), shop="AccessDenied")

    assert text.startswith("NOT READ  shop: AccessDenied; what it carries is not known")


def test_each_store_says_what_it_can_go_back_to() -> None:
    assert "ro-118   store-001  vision-arm64  vision-arm64:12  vision-arm64:13" in drawn(found())


def test_the_stores_that_carry_the_release_are_named_and_what_is_not_known_is_said() -> None:
    text = drawn(found(), width=160)

    assert "1 store: store-001" in text
    assert "1 store: store-900" in text
    assert "AWS does not know whether more stores were planned" in text
    assert "next  fleet plan" in text


@pytest.mark.parametrize(("added", "said"), [(True, "1 of 1"), (False, "0 of 1")])
def test_what_was_added_is_counted(added: bool, said: str) -> None:
    assert f"{said} rollouts were added to the records" in drawn(found(added))


def test_many_stores_are_cut_and_counted() -> None:
    assert "and 9 more: --json has all of them" in drawn(found(stores=20))


def test_nothing_found_is_said() -> None:
    assert "there is nothing to rebuild" in drawn()


def test_the_document_has_every_change() -> None:
    document = json.loads(json.dumps(rebuilt_document([found(stores=20)], {"shop": "away"})))

    assert document["not_read"] == {"shop": "away"}
    assert len(document["rollouts"][0]["changes"]) == 21
    assert document["rollouts"][0]["owed"] == []
    assert len(document["rollouts"][0]["carried_by"]) == 20
    assert "more stores were planned" in document["not_known"]
