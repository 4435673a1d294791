import json
import os
import signal
import sqlite3
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

from fleet.errors import SandboxError
from fleet.sandbox.agents.session import AwsFault
from fleet.sandbox.control_plane.database import EntityDatabase, persisted_time
from tests.sandbox.control_plane.rig import EMEA, START, Rig


def everything(rig: Rig) -> dict[str, Any]:
    clusters = rig.ecs("ListClusters")["clusterArns"]
    return {
        "clusters": rig.ecs("DescribeClusters", clusters=clusters, include=["TAGS"]),
        "instances": [
            rig.ecs("ListContainerInstances", cluster=arn)["containerInstanceArns"]
            for arn in clusters
        ],
        "attributes": rig.ecs(
            "ListAttributes", cluster=clusters[0], targetType="container-instance"
        ),
        "nodes": rig.ssm("DescribeInstanceInformation"),
        "activations": rig.ssm("DescribeActivations"),
    }


def test_a_restart_on_the_same_file_is_the_same_world(tmp_path: Path) -> None:
    rig = Rig(tmp_path / "plane.db")
    host = rig.host(attributes=[{"name": "ring", "value": "a"}])
    open_one = rig.activation(DefaultInstanceName="later")
    before = everything(rig)
    rig.close()
    again = Rig(tmp_path / "plane.db", start=START + 5)
    assert everything(again) == before
    again.spend(open_one)
    again.ping(host)
    assert again.seen(host)["agentConnected"] is False
    again.connect(host)
    assert again.seen(host)["agentConnected"] is True
    again.close()


def test_ids_do_not_come_twice_over_a_restart(tmp_path: Path) -> None:
    ids = []
    for _ in range(3):
        rig = Rig(tmp_path / "plane.db")
        ids.append(rig.node().node)
        rig.close()
    assert len(set(ids)) == 3


def test_what_was_answered_survives_kill_9(tmp_path: Path) -> None:
    database = tmp_path / "plane.db"
    script = textwrap.dedent("""
        import json, sys, time
        from pathlib import Path
        from tests.sandbox.control_plane.rig import Rig
        rig = Rig(Path(sys.argv[1]))
        for number in range(10_000):
            rig.ecs("CreateCluster", clusterName=f"store-{number}")
            print(number, flush=True)
    """)
    root = Path(__file__).parents[3]
    with subprocess.Popen(
        [sys.executable, "-c", script, str(database)],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(root)},
    ) as process:
        assert process.stdout is not None
        for _ in range(20):
            process.stdout.readline()
        process.send_signal(signal.SIGKILL)
        answered = 20 + len(process.stdout.read().split())
    rig = Rig(database)
    kept = rig.plane.status()["region_states"][0]["clusters"]
    rig.close()
    assert answered <= kept <= answered + 1


def test_the_code_of_an_activation_and_the_secrets_of_a_node_are_in_no_file(
    tmp_path: Path,
) -> None:
    rig = Rig(tmp_path / "plane.db")
    activation = rig.activation()
    node = rig.spend(activation)
    token = rig.session.request_role_token(instance_id=node, fingerprint="f")
    files = [path.read_bytes() for path in tmp_path.iterdir()]
    rig.close()
    files += [path.read_bytes() for path in tmp_path.iterdir()]
    assert any(activation["ActivationId"].encode() in data for data in files)
    for secret in (activation["ActivationCode"], token.secret_access_key, token.session_token):
        assert not any(secret.encode() in data for data in files)


def test_only_the_owner_may_read_the_file(tmp_path: Path) -> None:
    rig = Rig(tmp_path / "plane.db")
    assert (tmp_path / "plane.db").stat().st_mode & 0o777 == 0o600
    rig.close()


def test_time_does_not_run_backwards_over_a_restart(tmp_path: Path) -> None:
    database = tmp_path / "plane.db"
    assert persisted_time(database) is None
    rig = Rig(database)
    rig.clock.advance(3600)
    rig.ecs("ListClusters")
    reached = persisted_time(database)
    assert reached is not None
    assert reached >= START + 3600
    rig.close()


def test_a_clean_end_keeps_the_very_moment(tmp_path: Path) -> None:
    rig = Rig(tmp_path / "plane.db")
    rig.clock.advance(3600)
    rig.close()
    assert persisted_time(tmp_path / "plane.db") == START + 3600


def test_a_file_that_is_no_database_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "plane.db"
    path.write_text("my diary, " * 500)
    with pytest.raises(SandboxError, match="cannot be read"):
        Rig(path)
    assert path.read_text().startswith("my diary")


def test_a_file_of_another_version_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "plane.db"
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(SandboxError, match="format 99") as caught:
        Rig(path)
    assert "--purge" in (caught.value.hint or "")


def test_a_folder_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(SandboxError, match="cannot be opened"):
        Rig(tmp_path / "nowhere" / "plane.db")


def test_a_change_that_cannot_be_written_is_a_500_and_is_written_later(tmp_path: Path) -> None:
    path = tmp_path / "plane.db"
    rig = Rig(path)
    rig.ecs("CreateCluster", clusterName="a")
    other = sqlite3.connect(path, isolation_level=None)
    rig.plane._world._database._connection.execute("PRAGMA busy_timeout = 1")  # type: ignore[union-attr]
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(AwsFault, match="InternalServerError") as caught:
        rig.ecs("CreateCluster", clusterName="b")
    assert caught.value.status == 500
    other.execute("ROLLBACK")
    other.close()
    rig.ecs("CreateCluster", clusterName="c")
    rig.close()
    again = Rig(path)
    assert again.plane.status()["region_states"][0]["clusters"] == 3
    again.close()


def test_rows_are_readable_json(tmp_path: Path) -> None:
    rig = Rig(tmp_path / "plane.db")
    rig.ecs("CreateCluster", clusterName="a")
    rig.close()
    connection = sqlite3.connect(tmp_path / "plane.db")
    rows = connection.execute("SELECT kind, account, key, body FROM entity").fetchall()
    connection.close()
    assert [row[:3] for row in rows] == [("cluster", EMEA, "a")]
    assert json.loads(rows[0][3])["status"] == "ACTIVE"


def test_changes_are_written_all_or_none(tmp_path: Path) -> None:
    rig = Rig()
    rig.ecs("CreateCluster", clusterName="a")
    good = next(iter(rig.plane._world.region_states())).clusters["a"]
    rig.close()
    bad = type(good)(EMEA, "eu-west-1", "b", tags={"a": object()})  # type: ignore[dict-item]
    keeping = EntityDatabase(tmp_path / "plane.db")
    with pytest.raises(TypeError):
        keeping.write({1: (good, True), 2: (bad, True)}, {})
    assert list(keeping.load()) == []
    keeping.close()
