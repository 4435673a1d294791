"""Versions of what runs on hosts: as said now, else as said before."""

from fleet.drift.decide.versions import versions_of
from fleet.model.drift import HostMemory, ShardSeen, StoreSeen, Versions
from fleet.model.observed import NotRead, Reading
from tests import build

KEY = ("store-042", "tel-1")
IDS = {KEY: (build.MI, build.ARN)}
BEFORE = {KEY: HostMemory(versions=Versions("1.100.0", "3.2", "20.10"))}
NOTHING = NotRead("AccessDenied")


def shard(*, ecs: bool = True, ssm: bool = True) -> ShardSeen:
    instance = build.instance(agent_version="1.105.1", docker_version="24.0.7")
    node = build.node(agent_version="3.3")
    seen = StoreSeen("store-042", Reading((instance,), build.NOW) if ecs else NOTHING, NOTHING)
    return ShardSeen(
        account="emea-prod",
        region="eu-west-1",
        clusters=NOTHING,
        nodes=Reading((node,), build.NOW) if ssm else NOTHING,
        tagged=NOTHING,
        activations=NOTHING,
        tier=NOTHING,
        stores={"store-042": seen},
    )


def test_ecs_says_its_agents_and_dockers_version_and_ssm_its_own() -> None:
    assert versions_of(IDS, [shard()], {}) == {KEY: Versions("1.105.1", "3.3", "24.0.7")}


def test_what_could_not_be_read_is_as_it_was() -> None:
    assert versions_of(IDS, [shard(ssm=False)], BEFORE)[KEY].ssm_agent == "3.2"
    assert versions_of(IDS, [shard(ecs=False)], BEFORE)[KEY] == Versions("1.100.0", "3.3", "20.10")


def test_a_host_without_ids_has_no_versions() -> None:
    assert versions_of({}, [shard()], BEFORE) == {}
