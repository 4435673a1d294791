"""A night as cron runs it: scanned, told over real wires to everybody, no secret left behind."""

import json
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.drift.view.test_cron import as_cron_does, line_of
from tests.notify.receivers import (
    PASSWORD,
    USER,
    Hook,
    Post,
    hook,
    mail_server,
    make_certificate,
)
from tests.scenarios.conftest import HANGS_S, Shell, World
from tests.scenarios.test_secrets import watching_argument_lists

ACCOUNT, REGION = "emea-prod", "eu-west-1"
NOTIFY = """
notify:
  team:
    mail:
      host: 127.0.0.1
      port: {port}
      from: fleet@shops.example
      to: ops@shops.example
      user: {user}
      password_env: FLEET_SMTP_PASSWORD
  chat:
    webhook: {{url_env: FLEET_CHAT_URL}}
  pager:
    sns: {{topic: "{topic}", account: {account}}}
"""


@dataclass
class Office:
    """Who is told: a mailbox, a chat and a queue behind a topic."""

    post: Post
    chat: Hook
    queue: Any
    topic: str
    certificate: Path


@pytest.fixture
def office(world: World, tmp_path: Path) -> Iterator[Office]:
    certificate = make_certificate(tmp_path)
    sns, sqs = (world.client(name, ACCOUNT, REGION) for name in ("sns", "sqs"))
    topic = sns.create_topic(Name="nights")["TopicArn"]
    url = sqs.create_queue(QueueName="nights")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn["QueueArn"])
    with mail_server(certificate, login=True) as post, hook(certificate) as chat:
        yield Office(
            post,
            chat,
            lambda: sqs.receive_message(QueueUrl=url)["Messages"][0]["Body"],
            topic,
            certificate.certificate,
        )
    for client in (sns, sqs):
        client.close()


@pytest.mark.long
def test_the_printed_line_scans_tells_everybody_and_leaves_no_secret_behind(
    world: World, office: Office, tmp_path: Path
) -> None:
    home = tmp_path / "a shop's %"
    for name in ("inventory", "templates"):
        shutil.copytree(world.folder / name, home / name)
    (home / "inventory" / "stores" / "scenes.csv").unlink()  # a dozen shops will do
    with (home / "inventory" / "fleet.yaml").open("a") as file:
        file.write(
            NOTIFY.format(port=office.post.port, user=USER, topic=office.topic, account=ACCOUNT)
        )
    shell = Shell(home, world.env)
    printed = shell.fleet(
        *("cron", "--report", "out", "--notify", "--jitter", "0", "--format", "crontab"),
        *("--inventory", "inventory"),
    )
    assert printed.code == 0
    secrets = {
        **{name: value for name, value in world.env.items() if name in printed.err},
        "FLEET_SMTP_PASSWORD": PASSWORD,
        "FLEET_CHAT_URL": office.chat.url,
        "SSL_CERT_FILE": str(office.certificate),
    }
    (home / ".fleet").mkdir(exist_ok=True)
    (home / ".fleet" / "cron.env").write_text(
        "".join(f"{name}={shlex.quote(value)}\n" for name, value in secrets.items())
    )
    command = as_cron_does(line_of(printed.out).split(maxsplit=5)[5])

    with watching_argument_lists() as lists:
        ran = subprocess.run(
            ["/bin/sh", "-c", command],
            env={"HOME": str(home), "PATH": "/usr/bin:/bin"},
            cwd="/",
            capture_output=True,
            text=True,
            check=False,
            timeout=HANGS_S,
        )

    log = (home / ".fleet" / "logs" / "drift.log").read_text()
    assert (ran.returncode, ran.stdout, ran.stderr) == (3, "", ""), log
    document = json.loads((home / "out" / "latest.json").read_text())
    assert document["kind"] == "drift"
    subject = office.post.mails[0]["Subject"]
    (page,) = office.post.mails[0].iter_attachments()
    assert page.get_payload(decode=True) == (home / "out" / "latest.html").read_bytes()
    assert (office.post.tls, office.post.logins) == ([True], [USER])
    assert office.chat.posted[0]["blocks"][0]["text"]["text"] == subject
    assert json.loads(office.queue())["Message"].strip()
    kept = [path for path in home.rglob("*") if path.is_file() and path.name != "cron.env"]
    assert any(path.name == "fleet.db" for path in kept)
    for secret in (PASSWORD, office.chat.url, office.chat.url.rpartition("/")[2]):
        assert not [path for path in kept if secret.encode() in path.read_bytes()]
        assert not [words for words in lists if secret in words]
