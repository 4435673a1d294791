import json
from typing import Any

from tests.sandbox.control_plane.works import Shops, Worker


def payloads(worker: Worker) -> list[Any]:
    return [message for kind, message in worker.got if kind == "PayloadMessage"]


def test_a_payload_has_the_shape_that_agents_take(shops: Shops) -> None:
    worker = shops.host()
    container = {
        "environment": [{"name": "STORE", "value": "042"}],
        "command": ["serve"],
        "portMappings": [{"containerPort": 80}],
        "healthCheck": {"command": ["CMD", "true"], "interval": 10, "startPeriod": 60},
        "logConfiguration": {"logDriver": "awslogs", "options": {"mode": "non-blocking"}},
        "restartPolicy": {"enabled": True, "restartAttemptPeriod": 60},
        "memoryReservation": 128,
    }
    volumes = [{"name": "v", "host": {"sourcePath": "/v"}}]
    shops.create(taskDefinition=shops.definition(container=container, volumes=volumes))
    shops.settle(5)
    (message,) = payloads(worker)
    assert {"messageId", "clusterArn", "containerInstanceArn", "seqNum"} < set(message)
    (task,) = message["tasks"]
    assert (task["family"], task["version"], task["desiredStatus"]) == ("vision", "1", "RUNNING")
    assert task["volumes"] == [{"name": "v", "type": "host", "host": {"sourcePath": "/v"}}]
    (sent,) = task["containers"]
    assert sent["environment"] == {"STORE": "042"}
    assert sent["portMappings"] == [{"containerPort": 80, "hostPort": 0, "protocol": "tcp"}]
    assert sent["healthCheckType"] == "docker"
    assert (sent["command"], sent["memory"]) == (["serve"], 256)
    assert sent["restartPolicy"] == container["restartPolicy"]
    config = json.loads(sent["dockerConfig"]["config"])
    assert config["Healthcheck"] == {
        "Test": ["CMD", "true"],
        "Retries": 3,
        "Interval": 10_000_000_000,
        "Timeout": 5_000_000_000,
        "StartPeriod": 60_000_000_000,
    }
    host_config = json.loads(sent["dockerConfig"]["hostConfig"])
    assert host_config["LogConfig"] == {"Type": "awslogs", "Config": {"mode": "non-blocking"}}
    assert (host_config["NetworkMode"], host_config["MemoryReservation"]) == (
        "bridge",
        128 * 1024 * 1024,
    )


def test_a_stop_is_no_more_than_an_arn_and_a_status(shops: Shops) -> None:
    worker = shops.host()
    shops.create()
    shops.settle()
    (arn,) = worker.running
    shops.update(desiredCount=0)
    shops.settle()
    assert payloads(worker)[-1]["tasks"] == [{"arn": arn, "desiredStatus": "STOPPED"}]


def test_the_manifest_lists_what_should_run_after_the_payload_that_starts_it(
    shops: Shops,
) -> None:
    worker = shops.host()
    shops.create()
    shops.settle()
    (arn,) = worker.running
    worker.got.clear()
    worker.reconnect()
    shops.settle(2)
    assert [kind for kind, _ in worker.got] == ["PayloadMessage", "TaskManifestMessage"]
    manifest = worker.got[1][1]
    assert [(task["taskArn"], task["desiredStatus"]) for task in manifest["tasks"]] == [
        (arn, "RUNNING")
    ]
    assert manifest["timeline"] > worker.got[0][1]["seqNum"] - 1


def test_every_acknowledged_payload_is_sent_once(shops: Shops) -> None:
    worker = shops.host()
    shops.create()
    shops.settle(3600)
    assert len(payloads(worker)) == 1
