"""A plan that was saved is read back, or the file says how to make one."""

from pathlib import Path

import pytest

from fleet.errors import UsageError
from fleet.rollout.plan_file import read_plan


@pytest.mark.parametrize(
    ("text", "said"),
    [("{", "is no JSON"), ("[]", "is no plan"), ('{"kind": "x"}', "is no plan")],
)
def test_a_file_that_holds_no_plan_says_how_to_make_one(
    text: str, said: str, tmp_path: Path
) -> None:
    path = tmp_path / "plan.json"
    path.write_text(text)

    with pytest.raises(UsageError, match=said) as caught:
        read_plan(path)

    assert caught.value.hint == f"fleet plan --json > {path}"
