"""How channels are reached: secrets from the environment, topics through the account's own way."""

import os
from collections.abc import Mapping

from fleet.aws.sns import publish
from fleet.drift.telling import Senders
from fleet.errors import UsageError
from fleet.model.notify import MailChannel, Message, Occasion, SnsChannel, WebhookChannel
from fleet.model.secret import Secret
from fleet.notify import mail, webhook
from fleet.runtime.wiring import Wiring

#: Field of a topic's ARN that is its region, counted from 0.
_REGION = 3


def senders_for(wiring: Wiring, environment: Mapping[str, str] = os.environ) -> Senders:
    """The senders of a fleet's channels. Secrets are looked up when a channel is told."""

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
