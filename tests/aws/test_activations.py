from datetime import UTC, datetime, timedelta

import pytest

from fleet.aws.activations import (
    activations_named,
    create_activation,
    delete_activation,
    find_activation,
    list_activations,
)
from fleet.aws.session import Shard
from fleet.errors import AwsError, AwsUnreachable
from fleet.model.observed import Activation
from fleet.model.secret import Secret
from tests.aws.canned import Canned, reply
from tests.aws.conftest import Open, SandboxTime
from tests.sandbox.control_plane.rig import Rig

TAG = {"Key": "fleet:store", "Value": "store-042"}
HOST = "store-042/cam-1"
TAGS = {"fleet:store": "store-042", "fleet:host": HOST}


def activate(shard: Shard, clock: SandboxTime) -> tuple[Activation, Secret]:
    return create_activation(
        shard,
        role="ecsAnywhereRole",
        name=HOST,
        expires_in_s=3600,
        tags=TAGS,
        now=clock.now(),
    )


def test_activations_are_found_by_name_and_show_how_far_they_are_used(
    shard: Shard, rig: Rig
) -> None:
    used = rig.activation(DefaultInstanceName="store-042/cam-1", Tags=[TAG])
    rig.spend(used)
    rig.activation(DefaultInstanceName="store-042/tel-1")
    rig.activation(DefaultInstanceName="store-043/cam-1")
    names = ["store-042/cam-1", "store-042/tel-1"]
    seen = {one.name: one for one in activations_named(shard, names).value}
    assert sorted(seen) == names
    cam = seen["store-042/cam-1"]
    assert (cam.id, cam.count, cam.limit) == (used["ActivationId"], 1, 1)
    assert cam.tags == {"fleet:store": "store-042"}
    assert cam.expires_at == datetime.fromtimestamp(rig.clock.now(), UTC) + timedelta(hours=24)


def test_an_expired_activation_is_still_seen(shard: Shard, rig: Rig) -> None:
    rig.activation(DefaultInstanceName="store-042/cam-1")
    rig.clock.advance(48 * 3600)
    (seen,) = activations_named(shard, ["store-042/cam-1"]).value
    assert seen.expires_at < datetime.fromtimestamp(rig.clock.now(), UTC)


def test_an_activation_whose_name_only_begins_alike_is_not_ours(
    canned: Canned, open_shard: Open
) -> None:
    one = {"ActivationId": "a", "DefaultInstanceName": "store-042/cam-10", "ExpirationDate": 1}
    canned.answers = [reply({"ActivationList": [one]})]
    assert activations_named(open_shard(), ["store-042/cam-1"]).value == ()


def test_an_activation_is_found_by_its_id(shard: Shard, rig: Rig) -> None:
    made = [rig.activation(DefaultInstanceName=f"store-042/cam-{n}") for n in (1, 2)]
    seen = find_activation(shard, made[1]["ActivationId"]).value
    assert seen is not None
    assert seen.name == "store-042/cam-2"


def test_an_activation_that_is_not_there_is_none(shard: Shard) -> None:
    assert find_activation(shard, "6f1e1ab9-2d1c-4c3d-9f0a-0b6f6a6d2a11").value is None


def test_an_activation_is_for_one_host_and_a_short_time(
    shard: Shard, sandbox_time: SandboxTime
) -> None:
    made, _ = activate(shard, sandbox_time)
    (seen,) = activations_named(shard, [HOST]).value
    assert (seen.id, seen.limit, seen.count, seen.tags) == (made.id, 1, 0, TAGS)
    assert seen.expires_at == sandbox_time.now() + timedelta(hours=1) == made.expires_at


def test_the_code_shows_nowhere(shard: Shard, sandbox_time: SandboxTime) -> None:
    made, code = activate(shard, sandbox_time)
    assert code.reveal() not in f"{made!r} {code!r} {code} {shard!r}"


@pytest.mark.parametrize(
    ("code", "status"), [("ConnectionReset", 500), ("InternalServerError", 500)]
)
def test_an_activation_whose_answer_was_lost_is_found_by_name_and_deleted(
    shard: Shard, sandbox_time: SandboxTime, rig: Rig, code: str, status: int
) -> None:
    rig.plane.faults.add("ssm", "CreateActivation", code, status, when="after")
    with pytest.raises(AwsUnreachable, match="unknown"):
        activate(shard, sandbox_time)
    (orphan,) = activations_named(shard, [HOST]).value
    assert delete_activation(shard, orphan.id)
    assert activations_named(shard, [HOST]).value == ()


def test_deleting_an_activation_twice_is_no_error(shard: Shard, sandbox_time: SandboxTime) -> None:
    made, _ = activate(shard, sandbox_time)
    assert delete_activation(shard, made.id)
    assert not delete_activation(shard, made.id)


def test_deleting_what_never_was_an_activation_is_no_error(shard: Shard) -> None:
    assert not delete_activation(shard, "6f1e1ab9-2d1c-4c3d-9f0a-0b6f6a6d2a11")


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_lost_answer_to_a_deletion_is_asked_for_again(
    shard: Shard, sandbox_time: SandboxTime, rig: Rig, when: str
) -> None:
    made, _ = activate(shard, sandbox_time)
    rig.plane.faults.add("ssm", "DeleteActivation", "ConnectionReset", when=when)  # type: ignore[arg-type]
    delete_activation(shard, made.id)
    assert activations_named(shard, [HOST]).value == ()


def test_a_deletion_that_is_refused_says_so(
    shard: Shard, sandbox_time: SandboxTime, rig: Rig
) -> None:
    made, _ = activate(shard, sandbox_time)
    rig.plane.faults.add("ssm", "DeleteActivation", "ValidationException", 400)
    with pytest.raises(AwsError, match="ValidationException"):
        delete_activation(shard, made.id)


def test_all_activations_are_read_without_naming_one(shard: Shard, rig: Rig) -> None:
    made = {rig.activation(DefaultInstanceName=f"host-{n}")["ActivationId"] for n in range(51)}
    assert {one.id for one in list_activations(shard).value} == made
