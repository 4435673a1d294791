"""Whatever is edited in a plan file, the file is refused; what says the same is taken."""

import copy
import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.rollout.decide.plan_digest import DIGEST, check_digest, digest_of, read_json
from fleet.rollout.plan_request import plan_document, plan_from_document
from tests.rollout.decide import plans

STORES = [plans.shop(n) for n in range(1, 4)]
DOCUMENT: dict[str, Any] = json.loads(json.dumps(plan_document(plans.plan(STORES, canary=True))))
Path = tuple[str | int, ...]


def leaves(value: Any, path: Path = ()) -> Iterator[Path]:
    """Where values are that hold no others; an empty list is one."""
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            yield from leaves(inner, (*path, key))
    elif isinstance(value, list) and value:
        for number, inner in enumerate(value):
            yield from leaves(inner, (*path, number))
    else:
        yield path


LEAVES = list(leaves(DOCUMENT))
OTHERS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.text(max_size=9), st.just([]), st.just({})
)


def edited(path: Path, change: Any) -> dict[str, Any]:
    """The document with ``change`` made of the value at a path."""
    document = copy.deepcopy(DOCUMENT)
    inner: Any = document
    for step in path[:-1]:
        inner = inner[step]
    change(inner, path[-1])
    return document


def drop(inner: Any, key: Any) -> None:
    del inner[key]


def refusal(document: Any) -> str:
    with pytest.raises(ValueError, match=r"edited|no rollout plan|of version") as refused:
        plan_from_document(document)
    return str(refused.value)


def test_what_was_written_is_read() -> None:
    assert plan_from_document(DOCUMENT).stamped == DOCUMENT["plan"]["stamped"]
    assert check_digest(DOCUMENT)


@pytest.mark.parametrize(
    "part", ["changes", "release", "diffs", "waves", "estimate", "notes", "totals", "policy"]
)
def test_the_property_reaches_every_part(part: str) -> None:
    assert any(part in path[:2] for path in LEAVES)


@given(path=st.sampled_from(LEAVES), value=OTHERS)
def test_any_value_that_is_another_is_refused(path: Path, value: Any) -> None:
    was: Any = DOCUMENT
    for step in path:
        was = was[step]
    document = edited(path, lambda inner, key: inner.__setitem__(key, value))
    if json.dumps(value) == json.dumps(was):
        assert plan_from_document(document).fingerprint
    elif not (isinstance(was, float) and was == value and not isinstance(value, bool)):
        refusal(document)


@given(path=st.sampled_from(LEAVES))
def test_any_value_that_is_taken_out_is_refused(path: Path) -> None:
    refusal(edited(path, drop))


@given(path=st.sampled_from(LEAVES), name=st.text(min_size=1, max_size=5), value=OTHERS)
def test_any_value_that_is_put_in_is_refused(path: Path, name: str, value: Any) -> None:
    def put(inner: Any, _key: Any) -> None:
        if isinstance(inner, list):
            inner.append(value)
        else:
            inner[f"x-{name}"] = value

    refusal(edited(path, put))


@pytest.mark.parametrize(
    "path",
    [
        ("plan", "changes", 0, "workload"),
        ("plan", "release", "services", 0, "store"),
        ("plan", "release", "images", "tag", "source"),
    ],
)
def test_edits_that_passed_unnoticed_are_named_as_edits(path: Path) -> None:
    document = edited(path, lambda inner, key: inner.__setitem__(key, "other"))
    assert "it was edited since it was written" in refusal(document)


def test_a_new_file_cannot_pass_for_one_without_a_digest() -> None:
    document = {key: value for key, value in DOCUMENT.items() if key != DIGEST}
    assert "its digest is missing" in refusal(document)


def test_a_file_of_an_older_fleet_has_no_digest() -> None:
    document = edited((DIGEST,), drop)
    del document["plan"]["overwrite"]
    assert not check_digest(document)
    assert plan_from_document(document).overwrite is False


def test_layout_order_and_whole_numbers_with_a_point_say_the_same() -> None:
    assert digest_of({"a": 1, "b": [2.0]}) == digest_of({"b": [2], "a": 1.0, DIGEST: "x"})
    assert digest_of({"a": 1}) != digest_of({"a": True})
    assert digest_of({"a": 1}) != digest_of({"a": "1"})
    assert digest_of({"a": [1, 2]}) != digest_of({"a": [2, 1]})


@pytest.mark.parametrize(
    ("text", "said"), [('{"a": 1, "a": 1}', "twice"), ('{"a": NaN}', "NaN"), ("{", "Expecting")]
)
def test_what_can_be_read_in_two_ways_is_no_document(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        read_json(text)
