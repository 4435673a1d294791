"""Notification channels (``notify:`` in fleet.yaml) and their messages."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from fleet.model.drift_settings import Severity


class When(StrEnum):
    """ALWAYS tells a clean night too, so that silence is never good news; CHANGE only changes."""

    ALWAYS = "always"
    CHANGE = "change"


@dataclass(frozen=True, slots=True)
class Channel:
    """What all channels have.

    Attributes:
        name: as ``mail``.
        when: ALWAYS, or CHANGE: something is new, worse, resolved or could not be read.
        least: findings below it are counted, not listed.
    """

    name: str
    when: When = When.ALWAYS
    least: Severity = Severity.LOW


@dataclass(frozen=True, slots=True)
class MailChannel(Channel):
    """A mail over SMTP, the HTML report attached.

    Attributes:
        host: of the mail server.
        starttls: whether the connection must be encrypted before anything is said.
        user: to log in as; "" for no login.
        password_env: environment variable that holds the password; never the password itself.
    """

    host: str = "localhost"
    port: int = 25
    sender: str = ""
    to: tuple[str, ...] = ()
    starttls: bool = True
    user: str = ""
    password_env: str = ""


@dataclass(frozen=True, slots=True)
class WebhookChannel(Channel):
    """An HTTP POST of JSON that Slack-compatible receivers show.

    Attributes:
        url_env: environment variable that holds the URL, which is a secret.
    """

    url_env: str = ""


@dataclass(frozen=True, slots=True)
class SnsChannel(Channel):
    """A message to an SNS topic, published as an account of the inventory."""

    topic_arn: str = ""
    account: str = ""


@dataclass(frozen=True, slots=True)
class Occasion:
    """What a message is about, whoever is told.

    Attributes:
        fleet: name.
        scan: id, as ``drift-7f3a``; of a rollout, its id and what of it.
        at: when it is told, aware UTC.
        thread: what messages that belong together have in common, as ``ro-118``; "" for none.
    """

    fleet: str
    scan: str
    at: datetime
    thread: str = ""


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file that goes with a message."""

    name: str
    media_type: str
    content: bytes


@dataclass(frozen=True, slots=True)
class Message:
    """What is sent.

    Attributes:
        subject: one line, at most 100 characters.
        text: plain, at most 80 columns wide.
        markdown: for receivers that show it.
        thread: names the thread that it belongs to; "" for none.
    """

    subject: str
    text: str
    markdown: str
    attachments: tuple[Attachment, ...] = ()
    thread: str = ""
