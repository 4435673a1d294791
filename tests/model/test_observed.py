import pytest

from fleet.model.observed import HostFacts
from tests import build


@pytest.mark.parametrize(
    ("facts", "state"),
    [
        (build.bare_facts(), "nothing installed"),
        (build.installed_facts(), "all active"),
        (build.installed_facts(docker=None), "docker not active"),
    ],
)
def test_the_state_of_a_host_in_few_words(facts: HostFacts, state: str) -> None:
    assert facts.state == state
