"""Channels as they are wired: secrets from the environment, topics as the account named."""

from typing import Any

import pytest

from fleet.drift import senders
from fleet.drift.senders import senders_for
from fleet.errors import UsageError
from fleet.model.inventory import Account
from fleet.model.notify import MailChannel, Message, Occasion, SnsChannel, WebhookChannel
from fleet.notify import mail, webhook
from tests import build

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
def sent(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    kept: list[tuple[Any, ...]] = []
    monkeypatch.setattr(mail, "send", lambda *words: kept.append(words))
    monkeypatch.setattr(webhook, "send", lambda *words: kept.append(words))
    monkeypatch.setattr(senders, "publish", lambda *words: kept.append(words))
    return kept


def made(environment: dict[str, str] | None = None) -> Any:
    wired: Any = Wired()
    return senders_for(wired, ENVIRONMENT if environment is None else environment), wired


def test_a_password_is_read_from_the_environment(sent: list[tuple[Any, ...]]) -> None:
    channel = MailChannel("team", user="fleet", password_env="FLEET_SMTP_PASSWORD")
    made()[0].mail(channel, MESSAGE, NIGHT)

    ((*_, password, occasion),) = sent
    assert password.reveal() == "s3cr3t"
    assert "s3cr3t" not in repr(sent)
    assert occasion is NIGHT


def test_a_mail_without_a_login_has_no_password(sent: list[tuple[Any, ...]]) -> None:
    made()[0].mail(MailChannel("team"), MESSAGE, NIGHT)

    assert sent[0][2] is None


def test_a_url_is_read_from_the_environment(sent: list[tuple[Any, ...]]) -> None:
    made()[0].webhook(WebhookChannel("chat", url_env="FLEET_CHAT_URL"), MESSAGE, NIGHT)

    assert sent[0][1].reveal() == "https://x/s3cr3t"


def test_a_topic_is_published_to_in_its_own_region_as_its_account(
    sent: list[tuple[Any, ...]],
) -> None:
    reached, wired = made()
    (account,) = wired.fleet.accounts.values()
    arn = "arn:aws:sns:us-east-1:999988887777:fleet"
    reached.topic(SnsChannel("pager", topic_arn=arn, account=account.name), MESSAGE, NIGHT)

    assert wired.asked == [(account, "us-east-1")]
    assert sent == [("shard", arn, "subject", "text")]


@pytest.mark.parametrize("name", ["MISSING", "EMPTY"])
def test_a_secret_that_is_not_there_is_named(sent: list[tuple[Any, ...]], name: str) -> None:
    with pytest.raises(UsageError, match=f"the environment has no {name}") as caught:
        made()[0].webhook(WebhookChannel("chat", url_env=name), MESSAGE, NIGHT)

    assert "`fleet cron`" in (caught.value.hint or "")
    assert sent == []
