"""Checks and builds the notification channels under ``notify`` in ``fleet.yaml``.

    notify:
      team:
        mail: {host: smtp.shops.example, from: fleet@shops.example, to: ops@shops.example}
      chat:
        webhook: {url_env: FLEET_CHAT_URL}
        when: change

Passwords and the URLs of webhooks are secrets and the inventory is committed, so both are written
as the name of an environment variable. What is written there instead is never shown in an error.
"""

import re
from collections.abc import Callable, Collection, Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema, model_validator

from fleet.inventory.checking import Several, Shape, Written, wrong
from fleet.inventory.files import Problems
from fleet.model.drift_settings import Severity
from fleet.model.notify import MailChannel, SnsChannel, WebhookChannel, When

#: Where a connection without encryption does no harm.
LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_VARIABLE = r"[A-Z_][A-Z0-9_]*"
_ADDRESS = re.compile(r"[^\s@<>,;:\"()\\]+@[A-Za-z0-9.-]+")
_MAIL_HOST = re.compile(r"[A-Za-z0-9:][A-Za-z0-9_.:-]{0,252}")
_TOPIC = re.compile(
    r"arn:aws[a-z-]*:sns:[a-z]{2,4}(-[a-z]+)+-[0-9]:[0-9]{12}:"
    r"[A-Za-z0-9_-]{1,256}(?P<fifo>\.fifo)?"
)
#: Port on which mail servers speak TLS from the first byte (RFC 8314), which STARTTLS is not.
_IMPLICIT_TLS = 465


def _variable(text: Any) -> Any:
    """Return the name of an environment variable; anything else may be a secret: never show it."""
    if isinstance(text, str) and re.fullmatch(_VARIABLE, text):
        return text
    raise wrong(
        "is not the name of an environment variable",
        "put the secret itself into the environment, and only its name here, as FLEET_SECRET",
    )


def _keys_only(example: str, secret: str = "", name: str = "") -> Callable[[Any], Any]:
    """Return a validator that refuses what may hold a secret, without showing it."""

    def refuse(value: Any) -> Any:
        if not isinstance(value, dict):
            raise wrong("keys and values expected", f"as {example}")
        if secret and secret in value:
            hint = f"put it into the environment, and the variable's name here: {name}: FLEET_..."
            raise wrong(f"a {secret} is a secret and is not written here", hint, secret)
        return value

    return refuse


def _mail_address(text: str) -> str:
    if not _ADDRESS.fullmatch(text):
        raise wrong(f'"{text}" is not a mail address', "as ops@shops.example")
    return text


def _mail_host(text: str) -> str:
    if not _MAIL_HOST.fullmatch(text):
        raise wrong("is not a host name or IP address", "as smtp.shops.example")
    return text


def _mail_port(port: int) -> int:
    if port == _IMPLICIT_TLS:
        raise wrong("port 465 begins with TLS, and fleet with STARTTLS", "use port 587")
    return port


def _topic(text: str) -> str:
    match = _TOPIC.fullmatch(text)
    if match is None:
        raise wrong(
            f'"{text}" is not the ARN of an SNS topic', "as arn:aws:sns:eu-west-1:1111...:fleet"
        )
    if match["fifo"]:
        raise wrong("a FIFO topic reaches no mailbox and no phone", "name a standard topic")
    return text


def _mail_addresses(texts: list[str]) -> list[str]:
    return [_mail_address(text) for text in texts]


VariableName = Annotated[
    str,
    BeforeValidator(_variable),
    WithJsonSchema({"type": "string", "pattern": f"^{_VARIABLE}$"}),
]
MailAddress = Annotated[str, AfterValidator(_mail_address)]
MailAddresses = Annotated[Several, Field(min_length=1), AfterValidator(_mail_addresses)]


class MailShape(Shape):
    """``mail``: over SMTP, with the report attached."""

    host: Annotated[str, AfterValidator(_mail_host)]
    port: Annotated[int, Field(ge=1, le=65535), AfterValidator(_mail_port)] = 587
    sender: MailAddress = Field(alias="from")
    to: MailAddresses
    starttls: bool = True
    user: str | None = None
    password_env: VariableName | None = None

    _no_password = model_validator(mode="before")(
        _keys_only("{host: smtp.shops.example, ...}", "password", "password_env")
    )

    @model_validator(mode="after")
    def _login(self) -> "MailShape":
        if (self.user is None) != (self.password_env is None):
            missing = "password_env" if self.password_env is None else "user"
            raise wrong(f"a login needs user and password_env, and {missing} is missing")
        if self.user is not None and not self.starttls and self.host not in LOOPBACK:
            raise wrong(
                "the password would travel unencrypted", "leave starttls: false out", "starttls"
            )
        return self


class WebhookShape(Shape):
    """``webhook``: a Slack-compatible receiver."""

    url_env: VariableName

    _no_url = model_validator(mode="before")(
        _keys_only("{url_env: FLEET_CHAT_URL}", "url", "url_env")
    )


class SnsShape(Shape):
    """``sns``: a topic."""

    topic: Annotated[str, AfterValidator(_topic)]
    account: str | None = None


class ChannelShape(Shape):
    """An entry of ``notify``; one of mail, webhook and sns."""

    mail: MailShape | None = None
    webhook: WebhookShape | None = None
    sns: SnsShape | None = None
    when: When = When.ALWAYS
    least: Severity = Severity.LOW

    _keys = model_validator(mode="before")(_keys_only("webhook: {url_env: FLEET_CHAT_URL}"))

    @model_validator(mode="after")
    def _one_of(self) -> "ChannelShape":
        said = [key for key in ("mail", "webhook", "sns") if getattr(self, key) is not None]
        if len(said) != 1:
            seen = " and ".join(said) or "none of them"
            raise wrong(f"is one of mail, webhook and sns, found {seen}", "one entry per channel")
        return self


def build_channels(
    written: Mapping[str, Written[ChannelShape]],
    accounts: Collection[str],
    problems: Problems,
) -> tuple[MailChannel | WebhookChannel | SnsChannel, ...]:
    """Return the channels in the order written.

    Args:
        accounts: their names, as whom topics may be published to.
    """
    return tuple(_channel(name, entry, accounts, problems) for name, entry in written.items())


def _channel(
    name: str,
    entry: Written[ChannelShape],
    accounts: Collection[str],
    problems: Problems,
) -> MailChannel | WebhookChannel | SnsChannel:
    shape = entry.shape
    if shape.mail is not None:
        mail = shape.mail
        return MailChannel(
            name=name,
            when=shape.when,
            least=shape.least,
            host=mail.host,
            port=mail.port,
            sender=mail.sender,
            to=tuple(mail.to),
            starttls=mail.starttls,
            user=mail.user or "",
            password_env=mail.password_env or "",
        )
    if shape.webhook is not None:
        return WebhookChannel(
            name=name, when=shape.when, least=shape.least, url_env=shape.webhook.url_env
        )
    topic = shape.sns.topic if shape.sns else ""
    account = shape.sns.account if shape.sns else None
    if account is None and len(accounts) == 1:
        (account,) = accounts
    if account is None:
        message = f"no account is given, and there are {', '.join(accounts)}"
        problems.add(entry.problem(("sns",), message, "write account: ..."))
    else:
        problems.extend(entry.unknown(("sns", "account"), "account", [account], accounts))
    return SnsChannel(
        name=name, when=shape.when, least=shape.least, topic_arn=topic, account=account or ""
    )
