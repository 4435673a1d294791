"""Tells people of a night: every channel that is due, each for itself, and none of them twice."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from tenacity import RetryCallState, Retrying, retry_if_exception, stop_after_attempt
from tenacity.wait import wait_random_exponential

from fleet.errors import FleetError, NotDelivered, RecordsError
from fleet.model.drift_settings import Severity
from fleet.model.history import Ledger
from fleet.model.night import Night
from fleet.model.notify import (
    Attachment,
    MailChannel,
    Message,
    Occasion,
    SnsChannel,
    WebhookChannel,
)
from fleet.model.spans import moment
from fleet.notify.due import is_due
from fleet.runtime.wiring import Wiring

#: Most attempts per channel, and the upper end of the first and of any random wait between them.
ATTEMPTS = 4
FIRST_WAIT_S = 2.0
LONGEST_WAIT_S = 30.0

AnyChannel = MailChannel | WebhookChannel | SnsChannel


@dataclass(frozen=True, slots=True)
class Senders:
    """How each kind of channel is reached; secrets are already in them.

    All raise ``FleetError`` when a message was not handed over. What may work in a moment is a
    ``NotDelivered`` that is ``passing``; everything else is final.
    """

    mail: Callable[[MailChannel, Message, Occasion], None]
    webhook: Callable[[WebhookChannel, Message, Occasion], None]
    topic: Callable[[SnsChannel, Message, Occasion], None]


def tell(
    wiring: Wiring,
    night: Night,
    message_of: Callable[[Severity], Message],
    page: bytes | None,
    senders: Senders,
    *,
    again: bool = False,
) -> tuple[str, ...]:
    """Tell every channel of the inventory that is due; a failing one keeps no other waiting.

    A channel that was told of this scan is left alone. One whose last message failed is told
    whatever it waits for: what was new then is unchanged now, and it would never hear of it.

    Args:
        message_of: makes the message; findings below the severity are counted, not listed.
        page: the report as HTML, which mails carry; None when there is none.
        again: also tell who was told of this scan before.

    Returns:
        What went wrong, a sentence per channel; empty when everybody who is due was told.
    """
    post = _Post(wiring, night, senders, page)
    problems: list[str] = []
    last = post.last_told(problems)
    for channel in wiring.fleet.channels:
        told = last.get(channel.name, _Last())
        if told.scan == night.scan.id and not told.failed and not again:
            continue
        if is_due(channel, night) or told.failed:
            problem = post.deliver(channel, message_of, told)
            problems += [problem] if problem else []
            problems += post.record(channel, failed=bool(problem))
    return tuple(problems)


@dataclass(frozen=True, slots=True)
class _Last:
    """What a channel was told last, or failed to be; at is None when that is not known."""

    scan: str = ""
    failed: bool = False
    at: datetime | None = None


class _Post:
    """Delivers the messages of one night."""

    def __init__(self, wiring: Wiring, night: Night, senders: Senders, page: bytes | None) -> None:
        self._wiring = wiring
        self._night = night
        self._senders = senders
        self._page = page

    def last_told(self, problems: list[str]) -> Mapping[str, _Last]:
        """By channel. Where the records are away everybody is told: twice is better than never."""
        try:
            rows = self._wiring.records.latest([""])
        except RecordsError as error:
            problems.append(f"who was told before is not known: {error}")
            return {}
        return {
            row.host: _Last(
                str(row.value.get("scan", "")), bool(row.value.get("failed")), row.last_seen
            )
            for row in rows
            if row.ledger is Ledger.NOTIFY
        }

    def record(self, channel: AnyChannel, *, failed: bool) -> list[str]:
        """Note that a channel was told, or not; returns what went wrong."""
        value = {"scan": self._night.scan.id, "failed": failed}
        try:
            self._wiring.records.observe(
                "", channel.name, Ledger.NOTIFY, value, at=self._wiring.clock.now()
            )
        except RecordsError as error:
            return [f"{channel.name}: that it was told could not be recorded: {error}"]
        return []

    def deliver(
        self, channel: AnyChannel, message_of: Callable[[Severity], Message], last: _Last
    ) -> str:
        """Word the message and hand it over, a few times if need be; returns what went wrong."""
        try:
            message = self._message(channel, message_of(channel.least), last)
            self._retrying()(self._send, channel, message)
        except FleetError as error:
            return f"{channel.name} was not told: {error.in_full}"
        except Exception as error:  # noqa: BLE001 - a bug in one channel must not silence the others
            # Not its words: nobody has looked whether they hold a secret.
            return f"{channel.name} was not told: a bug in fleet: {type(error).__name__}"
        return ""

    def _message(self, channel: AnyChannel, message: Message, last: _Last) -> Message:
        if last.failed and last.at is not None:
            note = (
                f"The message of {moment(last.at)} did not get through:\n"
                "what was new then is listed as unchanged, or not at all."
            )
            message = replace(
                message,
                text=f"{note}\n\n{message.text}",
                markdown=f"{note}\n\n{message.markdown}",
            )
        if isinstance(channel, MailChannel) and self._page is not None:
            name = f"drift-{self._night.scan.started_at.astimezone(UTC):%Y-%m-%dT%H%MZ}.html"
            file = Attachment(name, "text/html", self._page)
            message = replace(message, attachments=(*message.attachments, file))
        return message

    def _send(self, channel: AnyChannel, message: Message) -> None:
        occasion = Occasion(self._wiring.fleet.name, self._night.scan.id, self._wiring.clock.now())
        match channel:
            case MailChannel():
                self._senders.mail(channel, message, occasion)
            case WebhookChannel():
                self._senders.webhook(channel, message, occasion)
            case SnsChannel():
                self._senders.topic(channel, message, occasion)

    def _retrying(self) -> Retrying:
        waits = wait_random_exponential(multiplier=FIRST_WAIT_S, max=LONGEST_WAIT_S)

        def wait(state: RetryCallState) -> float:
            error = state.outcome.exception() if state.outcome else None
            asked = error.after_s if isinstance(error, NotDelivered) else 0.0
            return max(asked, waits(state))

        return Retrying(
            sleep=self._wiring.clock.sleep,
            stop=stop_after_attempt(ATTEMPTS),
            wait=wait,
            retry=retry_if_exception(
                lambda error: isinstance(error, NotDelivered) and error.passing
            ),
            reraise=True,
        )
