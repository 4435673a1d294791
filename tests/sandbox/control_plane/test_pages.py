import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.sandbox.control_plane.call import BadToken, page, query_mark

KEYS = st.lists(st.text(min_size=1, max_size=5), unique=True, max_size=40).map(sorted)


@given(KEYS, st.integers(1, 9))
def test_pages_hold_every_key_once_and_in_order(keys: list[str], size: int) -> None:
    seen: list[str] = []
    token = ""
    while True:
        part, token = page(keys, size, token, "m")
        seen += part
        if not token:
            break
    assert seen == keys


@given(KEYS, st.integers(1, 9), st.data())
def test_what_stays_is_seen_once_while_other_keys_come_and_go(
    keys: list[str], size: int, data: st.DataObject
) -> None:
    stays = set(keys)
    now = list(keys)
    seen: list[str] = []
    token = ""
    while True:
        part, token = page(now, size, token, "m")
        seen += part
        if not token:
            break
        gone = set(data.draw(st.lists(st.sampled_from(keys), max_size=3)))
        stays -= gone
        new = data.draw(st.lists(st.text(min_size=1, max_size=5), max_size=3))
        now = sorted((set(now) | set(new)) - gone)
    assert len(seen) == len(set(seen))
    assert stays <= set(seen)


@pytest.mark.parametrize("token", ["x", "é", "e30=", "WyJtIiwgMV0=", "bnVsbA=="])
def test_a_token_nobody_gave_out_is_refused(token: str) -> None:
    with pytest.raises(BadToken):
        page(["a"], 1, token, "m")


def test_a_token_of_another_question_is_refused() -> None:
    _, token = page(["a", "b"], 1, "", query_mark("List", {"x": 1}))
    with pytest.raises(BadToken):
        page(["a", "b"], 1, token, query_mark("List", {"x": 2}))
