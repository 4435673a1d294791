"""Webhooks: one HTTP POST of JSON, in the form that Slack takes and others have adopted.

``text`` holds everything as Markdown, for receivers that show that (Mattermost, Rocket.Chat);
``blocks`` holds the plain text in fixed width, for Slack, whose mark-up is its own. Slack's limits
(reference of blocks): 50 blocks, 3,000 characters in a section, 150 in a header.
"""

import http.client
import json
import re
import ssl
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from fleet.errors import NotDelivered
from fleet.model.notify import Message, WebhookChannel
from fleet.model.secret import Secret

TIMEOUT_S = 20.0
#: Characters of a section's text, the fences around it left aside.
SECTION = 2900
SECTIONS = 8
#: Characters of ``text``; Mattermost takes 16,383, Slack 40,000.
TEXT = 12_000
HEADER = 150
_CUT = "… and more: see the report"
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
#: Words that would ring everybody's phone, wherever a name in the report came from.
_CALLS = re.compile(r"@(?=(?:all|channel|everyone|here)\b)", re.IGNORECASE)
_GONE = frozenset({401, 403, 404, 410})
_PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})
_LONGEST_WAIT_S = 60.0


def send(channel: WebhookChannel, url: Secret, message: Message) -> None:
    """Post a message; any status of 2xx means that it was taken.

    Whoever holds the URL may post, so it is in no error; nor is what the receiver says. A lost
    answer leaves open whether the message was taken.

    Raises:
        NotDelivered: the URL may not be used, or the receiver cannot be reached or refused.
    """
    request = _request(channel, url.reveal(), message)
    failure: NotDelivered | None = None
    try:
        with _opener(request).open(request, timeout=TIMEOUT_S):
            return
    except (OSError, http.client.HTTPException, ValueError) as error:
        failure = _failure(error, channel)
    # Raised out here, cut off from the error itself, which may quote the URL.
    raise failure


def _request(channel: WebhookChannel, url: str, message: Message) -> urllib.request.Request:
    request: urllib.request.Request | None = None
    try:
        parts = urlsplit(url)
        safe = parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in _LOOPBACK)
        usable = safe and parts.hostname and parts.port != 0
        if usable and url.isascii() and url.isprintable() and " " not in url:
            body = json.dumps(document(message)).encode()
            headers = {"Content-Type": "application/json; charset=utf-8", "User-Agent": "fleet"}
            request = urllib.request.Request(url, body, headers, method="POST")  # noqa: S310 - checked above
    except ValueError:
        request = None
    if request is None:
        raise NotDelivered(
            f"{channel.url_env} holds no URL that may be used",
            hint=f"set {channel.url_env} to one that begins with https://",
        )
    return request


class _RefuseRedirects(urllib.request.HTTPRedirectHandler):
    """The URL is who may read this; where it points instead is nobody that we know."""

    def redirect_request(self, *_words: Any) -> None:
        """Follow nothing."""


def _opener(request: urllib.request.Request) -> urllib.request.OpenerDirector:
    handlers: list[urllib.request.BaseHandler] = [
        _RefuseRedirects(),
        urllib.request.HTTPSHandler(context=ssl.create_default_context()),
    ]
    if request.type == "http":  # which only loopback may be: no way for a proxy
        handlers.append(urllib.request.ProxyHandler({}))
    return urllib.request.build_opener(*handlers)


def _failure(error: Exception, channel: WebhookChannel) -> NotDelivered:
    if isinstance(error, urllib.error.HTTPError):
        error.close()
        return _refused(error, channel)
    reason = error.reason if isinstance(error, urllib.error.URLError) else error
    if isinstance(reason, ssl.SSLCertVerificationError):
        return NotDelivered(
            "the receiver shows a certificate that is not to be trusted",
            hint=f"check {channel.url_env}; SSL_CERT_FILE names further authorities",
        )
    if isinstance(reason, TimeoutError):
        words = f"no answer within {TIMEOUT_S:.0f} s"
    elif isinstance(reason, OSError):
        words = reason.strerror or type(reason).__name__
    else:
        words = type(error).__name__
    return NotDelivered(f"the receiver cannot be reached: {words}", passing=True)


def _refused(error: urllib.error.HTTPError, channel: WebhookChannel) -> NotDelivered:
    status = error.code
    if status in _GONE:
        hint = f"make a new webhook there, and set {channel.url_env} to its URL"
        return NotDelivered(f"the receiver does not know us any more ({status})", hint=hint)
    if http.client.MULTIPLE_CHOICES <= status < http.client.BAD_REQUEST:
        hint = f"set {channel.url_env} to where it leads"
        return NotDelivered(f"the receiver points elsewhere ({status}): not followed", hint=hint)
    return NotDelivered(
        f"the receiver refused it ({status})",
        passing=status in _PASSING,
        after_s=_after(error.headers.get("Retry-After", "")),
    )


def _after(text: str) -> float:
    """Seconds of a ``Retry-After``; a date there is taken for nothing said."""
    return min(float(text), _LONGEST_WAIT_S) if re.fullmatch(r"\d{1,6}", text) else 0.0


def document(message: Message) -> dict[str, Any]:
    """Return what is posted."""
    subject = _tame(message.subject)
    markdown = _escaped(_tame(message.markdown))
    if len(markdown) > TEXT:
        kept = markdown[:TEXT].rpartition("\n")[0] or markdown[:TEXT]
        markdown = f"{kept}\n{_CUT}"
    header = subject if len(subject) <= HEADER else f"{subject[: HEADER - 1]}…"
    sections = [
        {"type": "section", "text": {"type": "mrkdwn", "text": text}}
        for text in _sections(message.text)
    ]
    # Receivers that group messages do so by this; others leave it alone.
    thread = {"thread_key": _tame(message.thread)} if message.thread else {}
    return {
        **thread,
        "text": f"**{_escaped(subject)}**\n\n{markdown}",
        "blocks": [
            {"type": "header", "text": {"type": "plain_text", "text": header, "emoji": False}},
            *sections,
        ],
    }


def _sections(text: str) -> Iterator[str]:
    """Pieces of a text at the ends of lines, each fenced; the last says when there is more."""
    piece, count = "", 0
    for line in _lines(_tame(text).replace("```", "'''")):
        if piece and len(piece) + len(line) >= SECTION:
            count += 1
            if count == SECTIONS:
                yield f"```{piece}```\n{_CUT}"
                return
            yield f"```{piece}```"
            piece = ""
        piece += f"{line}\n"
    if piece.strip():
        yield f"```{piece}```"


def _lines(text: str) -> Iterator[str]:
    for line in text.rstrip().splitlines():
        shown = _escaped(line)
        for start in range(0, max(1, len(shown)), SECTION):
            yield shown[start : start + SECTION]


def _escaped(text: str) -> str:
    """As Slack asks for ("Formatting text"): these three mean links, users and channels to it."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _tame(text: str) -> str:
    return _CALLS.sub("@\N{ZERO WIDTH SPACE}", text)
