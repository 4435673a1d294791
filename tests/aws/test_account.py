from datetime import UTC, datetime

from fleet.aws.account import get_caller_identity, instance_role_exists
from fleet.aws.session import Shard
from tests.aws.canned import Canned, reply
from tests.aws.conftest import Open
from tests.sandbox.control_plane.rig import EMEA, Rig

ROLE = b"""<GetRoleResponse><GetRoleResult><Role><RoleName>r</RoleName></Role></GetRoleResult>
</GetRoleResponse>"""


NO_ROLE = b"""<ErrorResponse><Error><Code>NoSuchEntity</Code><Message>no</Message></Error>
</ErrorResponse>"""


def test_the_caller_is_who_sts_says(shard: Shard) -> None:
    seen = get_caller_identity(shard).value
    assert (seen.account_id, seen.arn) == (
        EMEA,
        f"arn:aws:sts::{EMEA}:assumed-role/fleet-operator/on-call",
    )


def test_a_reading_has_the_sandboxs_time(shard: Shard, rig: Rig) -> None:
    rig.clock.advance(3600)
    now = datetime.fromtimestamp(int(rig.clock.now()), UTC)
    assert get_caller_identity(shard).at == now


def test_the_instance_role_is_there_or_not(canned: Canned, open_shard: Open) -> None:
    canned.answers = [
        reply(ROLE, content_type="text/xml"),
        reply(NO_ROLE, 404, content_type="text/xml"),
    ]
    shard = open_shard()
    assert instance_role_exists(shard, "r").value
    assert not instance_role_exists(shard, "r").value
