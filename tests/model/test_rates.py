import pytest

from fleet.errors import UsageError
from fleet.model.rates import RATES, call_share


def test_no_two_rates_have_one_name() -> None:
    assert all(rate.group == group for group, rate in RATES.items())


@pytest.mark.parametrize(
    ("text", "share"), [(None, 0.8), ("", 0.8), ("1", 1.0), ("0.25", 0.25), (" 90% ", 0.9)]
)
def test_the_call_share_is_read_from_the_environment(text: str | None, share: float) -> None:
    assert call_share(text) == share


@pytest.mark.parametrize("text", ["0", "-1", "1.2", "80", "200%", "most", "nan", "%"])
def test_a_call_share_that_cannot_be_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="FLEET_CALL_SHARE"):
        call_share(text)
