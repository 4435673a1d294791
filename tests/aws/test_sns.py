"""SNS through the sandbox: what is published reaches a queue that subscribed."""

import json
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.aws.session import Shard
from fleet.aws.sns import MESSAGE, ascii_subject, cut_message, publish
from fleet.errors import AwsError, AwsUnreachable
from tests.aws.canned import Canned, reply, reset
from tests.aws.conftest import REGION, Open
from tests.sandbox.control_plane.rig import Rig

TOPIC = "arn:aws:sns:eu-west-1:111122223333:fleet"


@pytest.fixture
def clients(rig: Rig) -> Iterator[dict[str, Any]]:
    made = {
        name: boto3.session.Session().client(name, region_name=REGION) for name in ("sns", "sqs")
    }
    yield made
    for client in made.values():
        client.close()


def test_what_is_published_reaches_a_queue_that_subscribed(
    shard: Shard, clients: dict[str, Any]
) -> None:
    topic = clients["sns"].create_topic(Name="drift-told")["TopicArn"]
    queue = clients["sqs"].create_queue(QueueName="drift-told")["QueueUrl"]
    arn = clients["sqs"].get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])
    clients["sns"].subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn["Attributes"]["QueueArn"])

    publish(shard, topic, "[fleet] ok · ✓", "verified 800 of 800 — ✓\n")

    (got,) = clients["sqs"].receive_message(QueueUrl=queue)["Messages"]
    body = json.loads(got["Body"])
    assert (body["Subject"], body["Message"]) == ("[fleet] ok -", "verified 800 of 800 — ✓\n")


def test_a_topic_that_is_not_there_is_an_error(shard: Shard) -> None:
    with pytest.raises(AwsError, match="sns:Publish"):
        publish(shard, f"{TOPIC}-none", "s", "m")


def test_a_message_whose_answer_was_lost_is_not_sent_again(
    canned: Canned, open_shard: Open
) -> None:
    canned.answers = [reset, reply(b"")]
    with pytest.raises(AwsUnreachable):
        publish(open_shard(), TOPIC, "s", "m")
    assert len(canned.asked) == 1


@pytest.mark.parametrize(
    ("text", "subject"),
    [
        ("[fleet] ACTION 3: 2 new · 4 dark", "[fleet] ACTION 3: 2 new - 4 dark"),
        ("Köln → Zürich", "Koln > Zurich"),
        ("a\r\nb\tc", "a b c"),
        ("ночь", "fleet"),
        ("", "fleet"),
    ],
)
def test_a_subject_is_ascii(text: str, subject: str) -> None:
    assert ascii_subject(text) == subject


@given(st.text(max_size=300))
def test_a_subject_is_always_one_that_sns_takes(text: str) -> None:
    subject = ascii_subject(text)

    assert 0 < len(subject) < 100
    assert subject.isascii()
    assert subject.isprintable()
    assert subject[0] != " "


@pytest.mark.parametrize("line", ["a line\n", "ünï\n", "no end "])
def test_a_message_that_is_too_long_is_cut_where_a_line_ends(line: str) -> None:
    text = line * 60_000
    cut = cut_message(text)

    assert len(cut.encode()) <= MESSAGE
    assert len(cut.encode()) > MESSAGE - 100
    assert cut.endswith("\n… cut: see the report\n")
    assert text.startswith(cut.partition("\n…")[0])


def test_a_short_message_stays_as_it_is() -> None:
    assert cut_message("ok\n") == "ok\n"
    assert cut_message("") == " "
