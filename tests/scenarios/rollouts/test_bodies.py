"""A template of which every shop gets a body of its own, in a chain of five hundred."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.scenarios import chains

CHANGES = 3
RATE = 200


@pytest.fixture
def chain_of_500(tmp_path: Path) -> Iterator[chains.Shops]:
    """Shops of which only the agents live."""
    made = chains.Shops(tmp_path, 500, policy="window: always")
    try:
        made.open(rate=RATE)
        yield made
    finally:
        made.close()


@pytest.mark.long
def test_a_template_of_500_bodies_is_said_before_anything_is_sent(
    chain_of_500: chains.Shops,
) -> None:
    template = chain_of_500.folder / "templates" / "app.yaml.j2"
    text = template.read_text()
    template.write_text(text.replace("memory: 64", "memory: 64, hostname: {{ store.id }}"))

    planned = chain_of_500.fleet("plan", "--all")

    assert planned.code == CHANGES, planned.err
    said = " ".join(planned.out.split())
    assert "500 task definitions are to be registered (500 in one/eu-west-1)" in said
    # One a second, of which four fifths are used.
    assert "ECS takes one a second, so that alone takes 10m" in said
    assert chain_of_500.ledger.sent == []
