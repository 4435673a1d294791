"""Mails to a real server: what arrives, what is refused, and what never leaves in the clear."""

import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import pytest

from fleet.errors import NotDelivered
from fleet.model.notify import Attachment, MailChannel, Message, Occasion
from fleet.model.secret import Secret
from fleet.notify import mail
from tests.notify.receivers import LOOPBACK, PASSWORD, USER, Certificate, Post, mail_server

OCCASION = Occasion("shops", "drift-7f3a", datetime(2026, 11, 23, 3, 40, tzinfo=UTC))
PAGE = Attachment("drift-2026-11-23T0331Z.html", "text/html", b"<!doctype html>\n" * 40)
MESSAGE = Message(
    "[fleet] ok: verified 2 of 2 · ✓", "Everything is as it should be — ✓.\n", "**ok**"
)
FULL = Message(MESSAGE.subject, MESSAGE.text, MESSAGE.markdown, (PAGE,))


def channel(port: int, **fields: Any) -> MailChannel:
    values: dict[str, Any] = {
        "name": "team",
        "host": LOOPBACK,
        "port": port,
        "sender": "fleet@shops.example",
        "to": ("ops@shops.example", "lead@shops.example"),
        "starttls": False,
    }
    return MailChannel(**(values | fields))


def failure(where: MailChannel, password: Secret | None = None) -> NotDelivered:
    with pytest.raises(NotDelivered) as caught:
        mail.send(where, FULL, password, OCCASION)
    return caught.value


def test_a_mail_arrives_with_the_page_attached(post: Post) -> None:
    mail.send(channel(post.port), FULL, None, OCCASION)

    (got,) = post.mails
    assert post.recipients == [["ops@shops.example", "lead@shops.example"]]
    assert got["Subject"] == MESSAGE.subject
    assert got["From"] == "fleet@shops.example"
    assert got["To"] == "ops@shops.example, lead@shops.example"
    assert got["Date"] == "Mon, 23 Nov 2026 03:40:00 +0000"
    assert got["Auto-Submitted"] == "auto-generated"
    body = got.get_body()
    assert body is not None
    assert body.get_content_type() == "text/plain"
    assert body.get_content().splitlines() == MESSAGE.text.splitlines()
    (page,) = got.iter_attachments()
    assert page.get_filename() == PAGE.name
    assert page.get_content_type() == "text/html"
    assert page.get_payload(decode=True) == PAGE.content


def test_the_same_night_has_the_same_message_id_and_another_one_another(post: Post) -> None:
    other = Occasion("shops", "drift-8a4b", OCCASION.at)
    for where, occasion in (
        (channel(post.port), OCCASION),
        (channel(post.port), OCCASION),
        (channel(post.port), other),
        (channel(post.port, name="boss"), OCCASION),
    ):
        mail.send(where, MESSAGE, None, occasion)

    first, again, *others = (got["Message-ID"] for got in post.mails)
    assert first == again
    assert first.endswith("@shops.example>")
    assert len({first, *others}) == 3


def test_a_subject_cannot_begin_another_header(post: Post) -> None:
    mail.send(channel(post.port), Message("a\r\nBcc: x@y.example", "text", ""), None, OCCASION)

    assert post.mails[0]["Bcc"] is None
    assert post.recipients == [["ops@shops.example", "lead@shops.example"]]


def test_lines_of_a_page_may_be_longer_than_mail_allows(post: Post) -> None:
    long = Attachment("a.html", "text/html", b"x" * 100_000 + b"\n.\n")
    mail.send(channel(post.port), Message("s", "y" * 5000, "", (long,)), None, OCCASION)

    (page,) = post.mails[0].iter_attachments()
    assert page.get_payload(decode=True) == long.content


def test_it_logs_in_once_the_connection_is_encrypted(trusted: Certificate) -> None:
    with mail_server(trusted, login=True) as post:
        where = channel(post.port, starttls=True, user=USER, password_env="FLEET_SMTP_PASSWORD")
        mail.send(where, FULL, Secret(PASSWORD), OCCASION)

        assert (post.tls, post.logins) == ([True], [USER])


def test_nothing_is_said_to_a_server_whose_certificate_nobody_signed(
    certificate: Certificate,
) -> None:
    with mail_server(certificate, login=True) as post:
        where = channel(post.port, starttls=True, user=USER, password_env="A")
        error = failure(where, Secret(PASSWORD))

        assert "certificate that is not to be trusted" in str(error)
        assert not error.passing
        assert (post.mails, post.logins) == ([], [])


def test_nothing_is_said_to_a_server_of_another_name(trusted: Certificate) -> None:
    with mail_server(trusted) as post:
        error = failure(channel(post.port, host="localhost", starttls=True))

        assert "localhost" in str(error)
        assert "certificate" in str(error)
        assert post.mails == []


def test_nothing_is_said_to_a_server_that_does_not_encrypt(post: Post) -> None:
    error = failure(channel(post.port, starttls=True, user=USER), Secret(PASSWORD))

    assert "STARTTLS" in str(error)
    assert not error.passing
    assert (post.mails, post.logins) == ([], [])


def test_a_wrong_password_is_final_and_stays_secret(trusted: Certificate) -> None:
    with mail_server(trusted, login=True) as post:
        where = channel(post.port, starttls=True, user=USER, password_env="FLEET_SMTP_PASSWORD")
        error = failure(where, Secret("wr0ng-p4ss"))

    assert str(error) == f"127.0.0.1:{where.port} refused the login of fleet (535)"
    assert error.hint == "check FLEET_SMTP_PASSWORD in the environment"
    assert not error.passing
    assert "wr0ng" not in f"{error!r} {error.__context__!r} {error.__cause__!r}"


def test_a_page_that_is_larger_than_the_server_takes_stays_out(post: Post) -> None:
    with mail_server(size=600) as small:
        mail.send(channel(small.port), FULL, None, OCCASION)

        (got,) = small.mails
    assert list(got.iter_attachments()) == []
    assert got.get_content().splitlines()[0] == MESSAGE.text.strip()
    assert "The report is not attached: with it, this mail has 0.0 MB" in got.get_content()


def test_a_page_that_the_server_refuses_as_too_large_stays_out(post: Post) -> None:
    post.answers = ["552 5.3.4 too large"]

    mail.send(channel(post.port), FULL, None, OCCASION)

    assert "127.0.0.1 refused it." in post.mails[0].get_content()


@pytest.mark.parametrize(
    ("answer", "passing"), [("451 4.7.1 try later", True), ("554 5.7.1 spam s3cr3t", False)]
)
def test_a_refused_mail_says_whether_it_may_be_tried_again(
    post: Post, answer: str, passing: bool
) -> None:
    post.answers = [answer]
    error = failure(channel(post.port))

    assert str(error) == f"127.0.0.1:{post.port} refused the mail ({answer[:3]})"
    assert error.passing is passing


def test_a_mail_that_some_do_not_get_is_not_sent_again(post: Post) -> None:
    post.refused = {"lead@shops.example": "450 4.2.1 later"}
    error = failure(channel(post.port))

    assert "sent, but 127.0.0.1 refused it for lead@shops.example (450)" in str(error)
    assert not error.passing
    assert post.recipients == [["ops@shops.example"]]


@pytest.mark.parametrize(("code", "passing"), [("450 later", True), ("550 unknown", False)])
def test_a_mail_that_nobody_gets_says_so(post: Post, code: str, passing: bool) -> None:
    post.refused = dict.fromkeys(("ops@shops.example", "lead@shops.example"), code)
    error = failure(channel(post.port))

    assert f"refused everybody whom it is for ({code[:3]})" in str(error)
    assert error.passing is passing


@contextmanager
def scripted(lines: Sequence[bytes]) -> Iterator[int]:
    """A server that says these lines, one for each that it hears, and hangs up."""
    with socket.create_server((LOOPBACK, 0)) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            with connection, connection.makefile("rwb") as talk:
                for line in lines:
                    talk.write(line + b"\r\n")
                    talk.flush()
                    if line.startswith(b"354"):
                        while talk.readline() not in {b".\r\n", b""}:
                            pass
                    else:
                        talk.readline()

        thread = threading.Thread(target=serve)
        thread.start()
        yield listener.getsockname()[1]
        thread.join()


TAKEN = [b"220 hi", b"250 hi", b"250 from", b"250 to", b"250 to", b"354 go", b"250 taken"]


@pytest.mark.parametrize(
    ("lines", "words", "passing"),
    [
        ([b"421 busy"], "refused to talk to us (421)", True),
        ([b"554 never"], "refused to talk to us (554)", False),
        ([b"220 hi"], "hung up", True),
        ([b"no mail server at all"], "refused to talk to us", False),
        (TAKEN[:6], "hung up", True),
        ([*TAKEN[:2], b"550 who", b"250 ok"], "refused the sender (550)", False),
    ],
)
def test_a_server_that_breaks_off_says_whether_it_may_be_tried_again(
    lines: list[bytes], words: str, passing: bool
) -> None:
    with scripted(lines) as port:
        error = failure(channel(port))

    assert words in str(error)
    assert error.passing is passing


@pytest.mark.parametrize("goodbye", [b"500 what", b""])
def test_how_a_server_says_goodbye_changes_nothing(goodbye: bytes) -> None:
    with scripted([*TAKEN, goodbye]) as port:
        mail.send(channel(port), MESSAGE, None, OCCASION)


def test_a_server_that_claims_a_strange_size_gets_its_mail() -> None:
    with scripted([b"220 hi", b"250-hi\r\n250 SIZE lots", *TAKEN[2:], b"221 bye"]) as port:
        mail.send(channel(port), FULL, None, OCCASION)


def test_a_server_that_does_not_answer_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mail, "TIMEOUT_S", 0.05)
    with socket.create_server((LOOPBACK, 0)) as silent:
        error = failure(channel(silent.getsockname()[1]))

    assert "did not answer within 0.05 s" in str(error)
    assert error.passing


def test_a_server_that_is_not_there_may_come_back() -> None:
    with socket.create_server((LOOPBACK, 0)) as gone:
        port = gone.getsockname()[1]
    error = failure(channel(port))

    assert "cannot be reached: Connection refused" in str(error)
    assert error.passing
