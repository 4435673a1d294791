"""Words for people: names in a row."""

import pytest

from fleet.model.printable import listed


@pytest.mark.parametrize(
    ("names", "words"),
    [
        ([], ""),
        (["cam-1"], "cam-1"),
        (["cam-1", "tel-1"], "cam-1 and tel-1"),
        (["cam-1", "cam-2", "tel-1"], "cam-1, cam-2 and tel-1"),
    ],
)
def test_names_in_a_row_have_one_and(names: list[str], words: str) -> None:
    assert listed(names) == words
