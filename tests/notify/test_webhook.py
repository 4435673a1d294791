"""Webhooks at a real receiver: what is posted and not followed, and a URL that stays secret."""

import socket
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.errors import NotDelivered
from fleet.model.notify import Message, WebhookChannel
from fleet.model.secret import Secret
from fleet.notify import webhook
from tests.notify.receivers import LOOPBACK, Certificate, Hook, hook

CHANNEL = WebhookChannel(name="chat", url_env="FLEET_CHAT_URL")
MESSAGE = Message("[fleet] ACTION 1: 1 new", "DO FIRST\n1 NEW  <b> & store-1\n", "**DO** `x`")


def failure(url: str) -> NotDelivered:
    with pytest.raises(NotDelivered) as caught:
        webhook.send(CHANNEL, Secret(url), MESSAGE)
    error = caught.value
    # Neither the URL nor what the receiver said may be told on, whichever way it failed.
    assert "s3cr3t" not in f"{error} {error.hint} {error.__context__!r} {error.__cause__!r}"
    return error


def test_a_message_is_posted_as_slack_takes_it(receiver: Hook) -> None:
    webhook.send(CHANNEL, Secret(receiver.url), MESSAGE)

    (body,) = receiver.posted
    assert body["text"] == "**[fleet] ACTION 1: 1 new**\n\n**DO** `x`"
    header, section = body["blocks"]
    assert header["text"]["text"] == MESSAGE.subject
    assert section["text"] == {
        "type": "mrkdwn",
        "text": "```DO FIRST\n1 NEW  &lt;b&gt; &amp; store-1\n```",
    }
    assert receiver.headers[0]["Content-Type"] == "application/json; charset=utf-8"


def test_a_receiver_whose_certificate_is_signed_is_told(trusted: Certificate) -> None:
    with hook(trusted) as receiver:
        webhook.send(CHANNEL, Secret(receiver.url), MESSAGE)

        assert len(receiver.posted) == 1


def test_nothing_is_said_to_a_receiver_whose_certificate_nobody_signed(
    certificate: Certificate,
) -> None:
    with hook(certificate) as receiver:
        error = failure(receiver.url)

        assert "certificate" in str(error)
        assert not error.passing
        assert receiver.posted == []


def test_a_redirect_is_not_followed(receiver: Hook) -> None:
    with hook() as other:
        receiver.answers = [(307, {"Location": other.url}), (302, {"Location": other.url})]
        for status in (307, 302):
            error = failure(receiver.url)
            assert f"points elsewhere ({status}): not followed" in str(error)
            assert not error.passing

        assert other.posted == []


@pytest.mark.parametrize(
    ("status", "headers", "words", "again"),
    [
        (429, {"Retry-After": "7"}, "refused it (429)", 7.0),
        (429, {"Retry-After": "99999"}, "refused it (429)", 60.0),
        (503, {"Retry-After": "Mon, 23 Nov 2026 03:40:00 GMT"}, "refused it (503)", 0.0),
        (500, {}, "refused it (500)", 0.0),
        (400, {}, "refused it (400)", None),
        (404, {}, "does not know us any more (404)", None),
        (410, {}, "does not know us any more (410)", None),
    ],
)
def test_a_refusal_says_whether_and_when_it_may_be_tried_again(
    receiver: Hook, status: int, headers: dict[str, str], words: str, again: float | None
) -> None:
    receiver.answers = [(status, headers)]
    error = failure(receiver.url)

    assert words in str(error)
    assert (error.passing, error.after_s) == (again is not None, again or 0.0)


@pytest.mark.parametrize(
    "url",
    [
        "http://hooks.shops.example/s3cr3t",
        "ftp://127.0.0.1/s3cr3t",
        "file:///etc/s3cr3t",
        "https:///s3cr3t",
        "https://127.0.0.1:s3cr3t/x",
        "https://127.0.0.1/s3cr3t x",
        "https://127.0.0.1/s3cr3t\r\nX: y",
        "https://127.0.0.1/s3cr3t/ü",
        "https://[s3cr3t/x",
        "s3cr3t",
    ],
)
def test_a_url_that_may_not_be_used_is_not_repeated(url: str) -> None:
    error = failure(url)

    assert str(error) == "FLEET_CHAT_URL holds no URL that may be used"
    assert not error.passing


def test_a_receiver_that_is_not_there_may_come_back() -> None:
    with socket.create_server((LOOPBACK, 0)) as gone:
        port = gone.getsockname()[1]
    error = failure(f"http://127.0.0.1:{port}/s3cr3t")

    assert str(error) == "the receiver cannot be reached: Connection refused"
    assert error.passing


def test_a_receiver_that_does_not_answer_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webhook, "TIMEOUT_S", 0.05)
    with socket.create_server((LOOPBACK, 0)) as silent:
        error = failure(f"http://127.0.0.1:{silent.getsockname()[1]}/s3cr3t")

    assert "no answer within" in str(error)
    assert error.passing


def test_no_proxy_stands_between_us_and_loopback(
    receiver: Hook, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    webhook.send(CHANNEL, Secret(receiver.url), MESSAGE)

    assert len(receiver.posted) == 1


def sections(body: dict[str, Any]) -> list[str]:
    return [block["text"]["text"] for block in body["blocks"] if block["type"] == "section"]


def test_a_long_text_is_cut_at_the_end_of_a_line_and_says_so() -> None:
    lines = [f"{number:05} {'x' * 70}" for number in range(2000)]
    shown = sections(webhook.document(Message("s", "\n".join(lines), "\n".join(lines))))

    assert len(shown) == webhook.SECTIONS
    assert shown[-1].endswith("```\n… and more: see the report")
    told = "".join(shown).replace("```", "\n").split("\n")
    kept = [line for line in told if line and not line.startswith("…")]
    assert kept == lines[: len(kept)]


def test_nobodys_phone_rings_because_of_a_name_in_the_report() -> None:
    said = "@here @all @channel @everyone <!channel> ops@shops.example ```"
    body = webhook.document(Message(said, said, said))

    for text in (body["text"], *sections(body)):
        assert not {"@here", "@all", "@channel", "@everyone", "<!channel>"} & set(text.split())
        assert "ops@shops.example" in text
    assert sections(body)[0].count("```") == 2


@given(st.text(max_size=9000), st.text(max_size=400), st.text(max_size=30_000))
def test_whatever_is_said_stays_within_slacks_limits(
    text: str, subject: str, markdown: str
) -> None:
    body = webhook.document(Message(subject, text, markdown))

    assert len(body["blocks"]) <= 50
    assert len(body["blocks"][0]["text"]["text"]) <= 150
    assert all(0 < len(part) <= 3000 for part in sections(body))
    assert len(body["text"]) < 16_383
