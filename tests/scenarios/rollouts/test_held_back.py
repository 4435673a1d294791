"""A release that AWS will not have, and what is typed about a rollout that is halted."""

from copy import deepcopy
from typing import Any

import pytest

from tests.scenarios.rollouts.conftest import TEMPLATE, TakeShops
from tests.scenarios.rollouts.foreground import HALTED


@pytest.mark.long
def test_a_release_that_ecs_refuses_halts_at_once_with_its_words(take: TakeShops) -> None:
    shops = take(4)
    shops.release("1.9.0")
    shops.fault("ecs:RegisterTaskDefinition", "ClientException", status=400, count=1)

    ran = shops.roll("--json")

    assert ran.code == HALTED, ran.err
    verdicts = shops.verdicts(ran)
    failed = [store for store in shops.stores if verdicts[store] == "failed"]
    assert failed in (shops.of("amd64"), shops.of("arm64")), "the whole variant, by one call"
    assert "ClientException" in ran.document["rollout"]["why"]
    assert ran.document["gate"]["answer"] == "halt"


def test_a_release_without_an_essential_container_is_refused_by_validate(take: TakeShops) -> None:
    shops = take(2)
    body: dict[str, Any] = deepcopy(TEMPLATE)
    body["containerDefinitions"][0]["essential"] = False
    shops.template(body)

    ran = shops.fleet("validate")

    assert ran.code == 2
    assert "no container is essential" in ran.err + ran.out


@pytest.mark.long
def test_pause_and_skip_on_a_halted_rollout_send_nothing_and_accept_nothing(
    take: TakeShops,
) -> None:
    shops = take(4)
    image = shops.release("1.9.0")
    shops.behave(image, run="crash", exit_code=1)
    assert shops.roll().code == HALTED
    before = {store: shops.deployments(store) for store in shops.stores}

    paused = shops.fleet("rollout", "pause")
    skipped = shops.fleet("rollout", "skip", "--store", shops.stores[-1])
    status = shops.status()

    assert (paused.code, skipped.code) == (0, 0)
    assert "resume" not in paused.err + skipped.err
    assert status["rollout"]["phase"] == "halted"
    assert all(verb["answer"] for verb in status["verbs"])
    assert {store: shops.deployments(store) for store in shops.stores} == before
    for words in status["next"]:
        if " status " in words or words.startswith("fleet plan"):
            assert shops.fleet(*words.split()[1:]).code in {0, 3}
