from datetime import UTC, datetime

import pytest

from fleet.model.history import Ledger, Observation

AT = datetime(2026, 11, 24, tzinfo=UTC)


@pytest.mark.parametrize(
    ("ledger", "state", "connected"),
    [
        (Ledger.ECS, "ACTIVE, connected", True),
        (Ledger.ECS, "ACTIVE, not connected", False),
        (Ledger.ECS, "DRAINING, not connected", False),
        (Ledger.ECS, "none", None),
        (Ledger.SSM, "Online, connected", None),
    ],
)
def test_an_observation_tells_whether_the_agent_was_connected(
    ledger: Ledger, state: str, connected: bool | None
) -> None:
    seen = Observation("store-1", "tel-1", ledger, {"state": state}, AT, AT)

    assert seen.agent_connected is connected
