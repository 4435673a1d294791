from typing import Any

import pytest

from fleet.model.observed import Ping
from fleet.model.registration import Verified
from fleet.register.decide.verify import verify
from tests import build


@pytest.mark.parametrize(
    ("expected", "vault", "changes"),
    [
        (Verified.YES, build.MI, {}),
        (Verified.NOT_ON_HOST, None, {}),
        (Verified.NOT_ONLINE, build.MI, {"managed_instances": ()}),
        (
            Verified.NOT_ONLINE,
            build.MI,
            {"managed_instances": (build.node(ping=Ping.CONNECTION_LOST),)},
        ),
        (Verified.NOT_IN_CLUSTER, build.MI, {"container_instances": ()}),
        (
            Verified.NOT_CONNECTED,
            build.MI,
            {"container_instances": (build.instance(agent_connected=False),)},
        ),
        (
            Verified.NOT_CONNECTED,
            build.MI,
            {"container_instances": (build.instance(status="DRAINING"),)},
        ),
        (
            Verified.TWINS,
            build.MI,
            {
                "container_instances": (
                    build.instance(),
                    build.instance(arn="x/old", agent_connected=False),
                )
            },
        ),
        (
            Verified.ATTRIBUTES_DIFFER,
            build.MI,
            {"container_instances": (build.instance(attributes={}),)},
        ),
    ],
)
def test_the_first_ledger_that_disagrees_is_named(
    expected: Verified, vault: str | None, changes: dict[str, Any]
) -> None:
    shop = build.store()

    verdict = verify(shop, shop.hosts[0], vault, build.ledgers(**changes))

    assert verdict.verified is expected
    assert verdict.reason


def test_another_hosts_instance_is_no_proof() -> None:
    shop = build.store()
    other = build.instance(managed_instance_id="mi-0ffffffffffffffff")

    verdict = verify(shop, shop.hosts[0], build.MI, build.ledgers(container_instances=(other,)))

    assert verdict.verified is Verified.NOT_IN_CLUSTER
