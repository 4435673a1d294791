"""Every channel for itself: who is told, how often it is tried, and what is remembered of it."""

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from fleet.drift.notifications import (
    ATTEMPTS,
    LONGEST_WAIT_S,
    notify_channels,
)
from fleet.errors import AwsUnreachable, FleetError, NotDelivered, RecordsError, UsageError
from fleet.model.drift_settings import Severity
from fleet.model.inventory import Account
from fleet.model.notify import (
    Channel,
    MailChannel,
    Message,
    Occasion,
    SnsChannel,
    WebhookChannel,
    When,
)
from fleet.model.scan_result import ScanResult
from fleet.notify import mail, webhook
from fleet.records.opening import open_records
from fleet.records.records import Records
from fleet.runtime import messages
from fleet.runtime.messages import Senders, senders_for
from fleet.runtime.wiring import Wiring
from tests import build, nights

MAIL = MailChannel("mail", least=Severity.HIGH)
CHAT = WebhookChannel("chat", when=When.CHANGE, url_env="A")
TOPIC = SnsChannel("topic", topic_arn="arn:aws:sns:eu-west-1:1:t", account="prod")
CLEAN = replace(nights.clean_night(stores=8), unread=(), findings=(), resolved=(), notes=())
NEWS = nights.night(stores=8)
PASSING = NotDelivered("busy", passing=True)


def message_of(night: ScanResult, least: Severity) -> Message:
    return Message("subject", f"{night.scan.id} {least}", "markdown")


@dataclass
class Desk:
    """One operator: records, a clock that only sleeping moves, and senders that do as told."""

    records: Records
    now: datetime = datetime(2026, 11, 23, 3, 40, tzinfo=UTC)
    slept: list[float] = field(default_factory=list)
    sent: list[tuple[Channel, Message, Occasion]] = field(default_factory=list)
    failing: dict[str, list[Exception]] = field(default_factory=dict)

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += timedelta(seconds=seconds)

    def send(self, channel: Channel, message: Message, occasion: Occasion) -> None:
        if self.failing.get(channel.name):
            raise self.failing[channel.name].pop(0)
        self.sent.append((channel, message, occasion))

    def tell(self, night: ScanResult, *channels: Any, **more: Any) -> tuple[str, ...]:
        clock = type("Clock", (), {"now": lambda _: self.now, "sleep": lambda _, s: self.sleep(s)})
        nobody: Any = None
        wiring = Wiring(
            fleet=replace(build.fleet(), channels=channels),
            clock=clock(),
            shard=nobody,
            records=self.records,
            connect=nobody,
            load_pins=nobody,
            pin_machine=nobody,
            listen=nobody,
            stop=threading.Event(),
        )
        senders = Senders(self.send, self.send, self.send)
        return notify_channels(
            wiring, night, partial(message_of, night), more.pop("page", None), senders, **more
        )

    @property
    def told(self) -> list[str]:
        return [channel.name for channel, _, _ in self.sent]


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with open_records(None, tmp_path) as records:
        yield Desk(records)


def after(night: ScanResult, scan: str) -> ScanResult:
    return replace(night, scan=replace(night.scan, id=scan))


def test_every_channel_that_is_due_is_told_in_words_for_its_severity(desk: Desk) -> None:
    assert desk.tell(NEWS, MAIL, CHAT, TOPIC) == ()

    assert desk.told == ["mail", "chat", "topic"]
    assert [message.text for _, message, _ in desk.sent] == [
        f"{NEWS.scan.id} high",
        f"{NEWS.scan.id} low",
        f"{NEWS.scan.id} low",
    ]
    assert {occasion for *_, occasion in desk.sent} == {
        Occasion(build.fleet().name, NEWS.scan.id, desk.now)
    }


def test_a_clean_night_is_told_to_who_always_wants_to_know(desk: Desk) -> None:
    assert desk.tell(CLEAN, MAIL, CHAT, TOPIC) == ()

    assert desk.told == ["mail", "topic"]


def test_mails_carry_the_page_and_nothing_else_does(desk: Desk) -> None:
    desk.tell(NEWS, MAIL, CHAT, page=b"<html>")

    (_, mail, _), (_, chat, _) = desk.sent
    (page,) = mail.attachments
    assert (page.name, page.media_type, page.content) == (
        f"drift-{NEWS.scan.started_at:%Y-%m-%dT%H%MZ}.html",
        "text/html",
        b"<html>",
    )
    assert chat.attachments == ()


@pytest.mark.parametrize(
    "error",
    [
        NotDelivered("mail.example refused the login (535)", hint="check FLEET_SMTP_PASSWORD"),
        UsageError("the environment has no A", hint="put it there"),
        AwsUnreachable("no answer"),
    ],
)
def test_a_channel_that_fails_for_good_is_said_and_keeps_no_other_waiting(
    desk: Desk, error: FleetError
) -> None:
    desk.failing["mail"] = [error]

    (problem,) = desk.tell(NEWS, MAIL, CHAT)

    hint = f" ({error.hint})" if error.hint else ""
    assert problem == f"mail was not told: {error}{hint}"
    assert desk.told == ["chat"]
    assert desk.slept == []


def test_what_passes_is_tried_again(desk: Desk) -> None:
    desk.failing["mail"] = [PASSING] * (ATTEMPTS - 1)

    assert desk.tell(NEWS, MAIL) == ()

    assert desk.told == ["mail"]
    assert len(desk.slept) == ATTEMPTS - 1
    assert max(desk.slept) <= LONGEST_WAIT_S


def test_what_does_not_pass_is_given_up(desk: Desk) -> None:
    desk.failing["mail"] = [PASSING] * ATTEMPTS

    assert desk.tell(NEWS, MAIL, CHAT) == ("mail was not told: busy",)

    assert desk.told == ["chat"]


def test_a_receiver_that_names_a_time_is_given_it(desk: Desk) -> None:
    desk.failing["chat"] = [NotDelivered("slow down", passing=True, after_s=45)]

    desk.tell(NEWS, CHAT)

    assert desk.slept[0] >= 45
    assert desk.told == ["chat"]


def test_a_bug_in_one_channel_silences_no_other_and_tells_no_secret(desk: Desk) -> None:
    desk.failing["mail"] = [KeyError("s3cr3t")]

    (problem,) = desk.tell(NEWS, MAIL, CHAT)

    assert problem == "mail was not told: a bug in fleet: KeyError"
    assert desk.told == ["chat"]


def test_a_night_is_not_told_twice(desk: Desk) -> None:
    for _ in range(2):
        assert desk.tell(NEWS, MAIL) == ()

    assert desk.told == ["mail"]


def test_only_who_was_not_told_is_told_again(desk: Desk) -> None:
    desk.failing["mail"] = [NotDelivered("away")]
    desk.tell(NEWS, MAIL, CHAT)
    assert desk.tell(NEWS, MAIL, CHAT) == ()

    assert desk.told == ["chat", "mail"]


def test_who_missed_a_night_is_told_of_the_next_whatever_it_waits_for(desk: Desk) -> None:
    desk.failing["chat"] = [NotDelivered("away")]
    desk.tell(NEWS, CHAT)
    desk.now += timedelta(days=1)

    desk.tell(after(CLEAN, "drift-next"), CHAT)
    desk.tell(after(CLEAN, "drift-after"), CHAT)

    ((_, message, _),) = desk.sent
    assert message.text.startswith("The message of 23 Nov 03:40Z did not get through:\n")
    assert message.markdown.endswith("\n\nmarkdown")


def records_that_fail(desk: Desk, monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    def locked(*_words: Any, **_more: Any) -> Any:
        raise RecordsError("the database is locked")

    for name in names:
        monkeypatch.setattr(desk.records, name, locked)


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (("latest",), ["who was told before is not known: the database is locked"]),
        (("observe",), ["mail: that it was told could not be recorded: the database is locked"]),
    ],
)
def test_everybody_is_told_without_the_records_too(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, names: tuple[str, ...], words: list[str]
) -> None:
    records_that_fail(desk, monkeypatch, *names)

    assert list(desk.tell(NEWS, MAIL)) == words

    assert desk.told == ["mail"]


def test_a_night_that_cannot_be_worded_for_a_channel_is_said(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_words: Any) -> Message:
        raise ValueError("s3cr3t")

    monkeypatch.setitem(globals(), "message_of", broken)

    assert desk.tell(NEWS, MAIL) == ("mail was not told: a bug in fleet: ValueError",)


MESSAGE = Message("subject", "text", "markdown")
NIGHT: Any = Occasion("shops", "drift-1", None)  # type: ignore[arg-type]  # nobody reads the time
ENVIRONMENT = {"FLEET_SMTP_PASSWORD": "s3cr3t", "FLEET_CHAT_URL": "https://x/s3cr3t", "EMPTY": ""}


class Wired:
    """What a run is handed, as far as channels need it."""

    def __init__(self) -> None:
        self.fleet = build.fleet()
        self.asked: list[tuple[Account, str]] = []

    def shard(self, account: Account, region: str) -> str:
        self.asked.append((account, region))
        return "shard"


@pytest.fixture
def handed_over(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    kept: list[tuple[Any, ...]] = []
    monkeypatch.setattr(mail, "send", lambda *words: kept.append(words))
    monkeypatch.setattr(webhook, "send", lambda *words: kept.append(words))
    monkeypatch.setattr(messages, "publish", lambda *words: kept.append(words))
    return kept


def made(environment: dict[str, str] | None = None) -> Any:
    wired: Any = Wired()
    return senders_for(wired, ENVIRONMENT if environment is None else environment), wired


def test_a_password_is_read_from_the_environment(handed_over: list[tuple[Any, ...]]) -> None:
    channel = MailChannel("team", user="fleet", password_env="FLEET_SMTP_PASSWORD")
    made()[0].mail(channel, MESSAGE, NIGHT)

    ((*_, password, occasion),) = handed_over
    assert password.reveal() == "s3cr3t"
    assert "s3cr3t" not in repr(handed_over)
    assert occasion is NIGHT


def test_a_mail_without_a_login_has_no_password(handed_over: list[tuple[Any, ...]]) -> None:
    made()[0].mail(MailChannel("team"), MESSAGE, NIGHT)

    assert handed_over[0][2] is None


def test_a_url_is_read_from_the_environment(handed_over: list[tuple[Any, ...]]) -> None:
    made()[0].webhook(WebhookChannel("chat", url_env="FLEET_CHAT_URL"), MESSAGE, NIGHT)

    assert handed_over[0][1].reveal() == "https://x/s3cr3t"


def test_a_topic_is_published_to_in_its_own_region_as_its_account(
    handed_over: list[tuple[Any, ...]],
) -> None:
    reached, wired = made()
    (account,) = wired.fleet.accounts.values()
    arn = "arn:aws:sns:us-east-1:999988887777:fleet"
    reached.topic(SnsChannel("pager", topic_arn=arn, account=account.name), MESSAGE, NIGHT)

    assert wired.asked == [(account, "us-east-1")]
    assert handed_over == [("shard", arn, "subject", "text")]


@pytest.mark.parametrize("name", ["MISSING", "EMPTY"])
def test_a_secret_that_is_not_there_is_named(handed_over: list[tuple[Any, ...]], name: str) -> None:
    with pytest.raises(UsageError, match=f"the environment has no {name}") as caught:
        made()[0].webhook(WebhookChannel("chat", url_env=name), MESSAGE, NIGHT)

    assert "`fleet cron`" in (caught.value.hint or "")
    assert handed_over == []
