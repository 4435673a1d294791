import pytest

from fleet.sandbox.agents.registration import ConfigInvalid
from fleet.sandbox.agents.settings import Settings, read_settings


def test_an_empty_configuration_has_the_agents_defaults() -> None:
    assert read_settings({}) == Settings()


def test_durations_are_read_as_go_writes_them() -> None:
    settings = read_settings(
        {"ECS_CONTAINER_STOP_TIMEOUT": "1m30s", "ECS_IMAGE_CLEANUP_INTERVAL": "2h"}
    )
    assert (settings.stop_timeout_s, settings.image_cleanup_s) == (90, 7200)


@pytest.mark.parametrize("text", ["30", "soon", "5m later", "-3s"])
def test_a_duration_that_is_none_is_refused_by_name(text: str) -> None:
    with pytest.raises(ConfigInvalid, match="ECS_CONTAINER_STOP_TIMEOUT"):
        read_settings({"ECS_CONTAINER_STOP_TIMEOUT": text})


def test_an_unknown_pull_behaviour_is_the_default_one() -> None:
    assert read_settings({"ECS_IMAGE_PULL_BEHAVIOR": "sometimes"}).pull == "default"


def test_image_cleanup_can_be_switched_off() -> None:
    assert not read_settings({"ECS_DISABLE_IMAGE_CLEANUP": "true"}).image_cleanup
