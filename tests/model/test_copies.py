"""Copies of frozen values: they are what ``dataclasses.replace`` makes."""

from dataclasses import replace
from typing import Any

import pytest

from fleet.model.changes import NextSend
from fleet.model.copies import copied
from fleet.model.verdicts import Stage, Verdict
from tests import rollouts


def test_a_copy_is_what_replace_makes_and_leaves_the_value_as_it_was() -> None:
    change = rollouts.change("store-042", Verdict.OK)
    kept = replace(change)
    fields: dict[str, Any] = {
        "stage": Stage.UNDONE,
        "reason": "set back",
        "next_send": NextSend(refusals=2),
    }
    assert copied(change, **fields) == replace(change, **fields)
    assert copied(change.observed, cause="exit 1") == replace(change.observed, cause="exit 1")
    assert copied(change) == change == kept


def test_a_field_that_there_is_not_is_refused() -> None:
    with pytest.raises(KeyError, match="nothing"):
        copied(rollouts.change("store-042"), nothing=1)
