"""Notifies the channels of the inventory of a scan: each that is due, once."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from tenacity import RetryCallState, Retrying, retry_if_exception, stop_after_attempt
from tenacity.wait import wait_random_exponential

from fleet.errors import FleetError, NotDelivered, RecordsError
from fleet.model.drift_settings import Severity
from fleet.model.history import Ledger
from fleet.model.notify import (
    Attachment,
    MailChannel,
    Message,
    Occasion,
)
from fleet.model.scan_result import ScanResult
from fleet.model.spans import moment
from fleet.notify.due import is_due
from fleet.runtime.messages import AnyChannel, Senders, send_to
from fleet.runtime.wiring import Wiring

#: Most attempts per channel, and the upper end of the first and of any random wait between them.
ATTEMPTS = 4
FIRST_WAIT_S = 2.0
LONGEST_WAIT_S = 30.0


def notify_channels(
    wiring: Wiring,
    result: ScanResult,
    message_of: Callable[[Severity], Message],
    page: bytes | None,
    senders: Senders,
) -> tuple[str, ...]:
    """Send a message to every channel that is due; a failing one keeps no other waiting.

    A channel that got the message of this scan gets no second one. One whose last message failed
    gets one whatever it waits for: what was new then is unchanged now, and would never reach it.

    Args:
        message_of: makes the message; findings below the severity are counted, not listed.
        page: the report as HTML, which mails carry; None when there is none.

    Returns:
        What went wrong, a sentence per channel; empty when each that is due got its message.
    """
    notifier = _Notifier(wiring, result, senders, page)
    problems: list[str] = []
    last = notifier.last_messages(problems)
    for channel in wiring.fleet.channels:
        before = last.get(channel.name, _LastMessage())
        if before.scan == result.scan.id and not before.failed:
            continue
        if is_due(channel, result) or before.failed:
            problem = notifier.deliver(channel, message_of, before)
            problems += [problem] if problem else []
            problems += notifier.record(channel, failed=bool(problem))
    return tuple(problems)


@dataclass(frozen=True, slots=True)
class _LastMessage:
    """The last message of a channel.

    Attributes:
        scan: id.
        failed: whether it was not delivered.
        at: when that was recorded; None when it is not known.
    """

    scan: str = ""
    failed: bool = False
    at: datetime | None = None


class _Notifier:
    """Delivers the messages of one scan."""

    def __init__(
        self, wiring: Wiring, result: ScanResult, senders: Senders, page: bytes | None
    ) -> None:
        self._wiring = wiring
        self._result = result
        self._senders = senders
        self._page = page

    def last_messages(self, problems: list[str]) -> Mapping[str, _LastMessage]:
        """Return them by channel; none where the records are away: twice is better than never."""
        try:
            rows = self._wiring.records.latest([""])
        except RecordsError as error:
            problems.append(f"who was told before is not known: {error}")
            return {}
        return {
            row.host: _LastMessage(
                str(row.value.get("scan", "")), bool(row.value.get("failed")), row.last_seen
            )
            for row in rows
            if row.ledger is Ledger.NOTIFY
        }

    def record(self, channel: AnyChannel, *, failed: bool) -> list[str]:
        """Record that a channel got its message, or not; return what went wrong."""
        value = {"scan": self._result.scan.id, "failed": failed}
        try:
            self._wiring.records.observe(
                "", channel.name, Ledger.NOTIFY, value, at=self._wiring.clock.now()
            )
        except RecordsError as error:
            return [f"{channel.name}: that it was told could not be recorded: {error}"]
        return []

    def deliver(
        self, channel: AnyChannel, message_of: Callable[[Severity], Message], last: _LastMessage
    ) -> str:
        """Make the message and send it, a few times if need be; return what went wrong."""
        try:
            message = self._message(channel, message_of(channel.least), last)
            self._retrying()(self._send, channel, message)
        except FleetError as error:
            return f"{channel.name} was not told: {error.in_full}"
        except Exception as error:  # noqa: BLE001 - a bug in one channel must not silence the others
            # Not its words: nobody has looked whether they hold a secret.
            return f"{channel.name} was not told: a bug in fleet: {type(error).__name__}"
        return ""

    def _message(self, channel: AnyChannel, message: Message, last: _LastMessage) -> Message:
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
            name = f"drift-{self._result.scan.started_at.astimezone(UTC):%Y-%m-%dT%H%MZ}.html"
            file = Attachment(name, "text/html", self._page)
            message = replace(message, attachments=(*message.attachments, file))
        return message

    def _send(self, channel: AnyChannel, message: Message) -> None:
        occasion = Occasion(self._wiring.fleet.name, self._result.scan.id, self._wiring.clock.now())
        send_to(self._senders, channel, message, occasion)

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
