"""Sends messages to the channels of the inventory: what is told, and when, is for others to say."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from fleet.aws.sns import publish
from fleet.errors import UsageError
from fleet.model.notify import MailChannel, Message, Occasion, SnsChannel, WebhookChannel
from fleet.model.secret import Secret
from fleet.notify import mail, webhook
from fleet.runtime.wiring import Wiring

#: Field of a topic's ARN that is its region, counted from 0.
_REGION = 3

AnyChannel = MailChannel | WebhookChannel | SnsChannel


@dataclass(frozen=True, slots=True)
class Senders:
    """Functions that send to each kind of channel; secrets are already in them.

    All raise ``FleetError`` when a message was not handed over. What may work in a moment is a
    ``NotDelivered`` that is ``passing``; everything else is final.
    """

    mail: Callable[[MailChannel, Message, Occasion], None]
    webhook: Callable[[WebhookChannel, Message, Occasion], None]
    topic: Callable[[SnsChannel, Message, Occasion], None]


def send_to(senders: Senders, channel: AnyChannel, message: Message, occasion: Occasion) -> None:
    """Send a message to a channel of whatever kind.

    Raises:
        FleetError: it was not handed over.
    """
    match channel:
        case MailChannel():
            senders.mail(channel, message, occasion)
        case WebhookChannel():
            senders.webhook(channel, message, occasion)
        case SnsChannel():
            senders.topic(channel, message, occasion)


def senders_for(wiring: Wiring, environment: Mapping[str, str] = os.environ) -> Senders:
    """Return the senders of a fleet's channels; secrets are looked up when one sends."""

    def secret(name: str) -> Secret:
        value = environment.get(name, "")
        if not value:
            raise UsageError(
                f"the environment has no {name}",
                hint="cron has an environment of its own: `fleet cron` says where to put it",
            )
        return Secret(value)

    def by_mail(channel: MailChannel, message: Message, occasion: Occasion) -> None:
        password = secret(channel.password_env) if channel.password_env else None
        mail.send(channel, message, password, occasion)

    def by_webhook(channel: WebhookChannel, message: Message, _occasion: Occasion) -> None:
        webhook.send(channel, secret(channel.url_env), message)

    def by_topic(channel: SnsChannel, message: Message, _occasion: Occasion) -> None:
        account = wiring.fleet.accounts[channel.account]
        shard = wiring.shard(account, channel.topic_arn.split(":")[_REGION])
        publish(shard, channel.topic_arn, message.subject, message.text)

    return Senders(mail=by_mail, webhook=by_webhook, topic=by_topic)
