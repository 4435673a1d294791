"""Mail over SMTP: one connection per message, encrypted before anything is said."""

import smtplib
import socket
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from hashlib import sha256

from fleet.errors import NotDelivered
from fleet.model.notify import MailChannel, Message, Occasion
from fleet.model.printable import printable
from fleet.model.secret import Secret

#: Seconds for each answer of the server; RFC 5321 (4.5.3.2) allows minutes, and a night has them.
TIMEOUT_S = 60.0
#: Answers that RFC 5321 (4.2.1) calls transient. smtplib has -1 for one that is no answer at all.
_TRANSIENT = range(400, 500)
#: A server says the largest message it takes with this (RFC 1870), and refuses others so.
_SIZE = "size"
_TOO_LARGE = 552


def send(
    channel: MailChannel, message: Message, password: Secret | None, occasion: Occasion
) -> None:
    """Hand a mail over to the channel's server.

    A lost answer to a mail that was sent whole leaves open whether it was taken; sent again, it
    has the same Message-ID, by which receivers tell that it is the same.

    Args:
        password: for the channel's user; None where it has none.

    Raises:
        NotDelivered: the server cannot be reached, does not encrypt, refused the login, the
            sender, the mail, or some of those it is for. Never holds the password.
    """
    with _server(channel, password) as smtp:
        refused = _sent(smtp, channel, message, occasion)
    if refused:
        # Again would be a second mail for those who have this one.
        words = ", ".join(f"{who} ({code})" for who, (code, _) in sorted(refused.items()))
        raise NotDelivered(
            f"sent, but {channel.host} refused it for {printable(words)}",
            hint=f"correct `to` of {channel.name} in fleet.yaml",
        )


def _sent(
    smtp: smtplib.SMTP, channel: MailChannel, message: Message, occasion: Occasion
) -> Mapping[str, tuple[int, bytes]]:
    """Send it, without its files where they are too large; returns those it was refused for."""
    mail = _mail(channel, message, occasion)
    size, said = len(mail.as_bytes()), smtp.esmtp_features.get(_SIZE, "")
    most = int(said) if said.isascii() and said.isdigit() else 0
    if most == 0 or size <= most or not message.attachments:
        try:
            return smtp.send_message(mail)
        except (smtplib.SMTPSenderRefused, smtplib.SMTPDataError) as error:
            if error.smtp_code != _TOO_LARGE or not message.attachments:
                raise
    words = f"The report is not attached: with it, this mail has {size / 1e6:.1f} MB, and "
    words += f"{channel.host} takes {most / 1e6:.1f} MB." if most else f"{channel.host} refused it."
    return smtp.send_message(_mail(channel, message, occasion, words))


@contextmanager
def _server(channel: MailChannel, password: Secret | None) -> Iterator[smtplib.SMTP]:
    """Open a connection that is ready for mail; every failure raises ``NotDelivered``."""
    failure: NotDelivered | None = None
    smtp: smtplib.SMTP | None = None
    try:
        # The standard library would ask DNS for a name of ours, which may take half a minute.
        own = socket.gethostname()
        smtp = smtplib.SMTP(channel.host, channel.port, local_hostname=own, timeout=TIMEOUT_S)
        if channel.starttls:
            smtp.starttls(context=ssl.create_default_context())
        smtp.ehlo_or_helo_if_needed()
        if channel.user and password is not None:
            smtp.login(channel.user, password.reveal())
        yield smtp
        # The mail was taken: how the server says goodbye changes nothing.
        with suppress(OSError, smtplib.SMTPException):
            smtp.quit()
    except (OSError, smtplib.SMTPException, ValueError) as error:
        failure = _failure(error, channel)
    finally:
        if smtp is not None:
            smtp.close()
    if failure is not None:
        # Raised out here: what the server said may hold what we said, and is cut off from it.
        raise failure


def _failure(error: Exception, channel: MailChannel) -> NotDelivered:
    """Return the cause in our words with the server's code, and whether to retry."""
    server = f"{channel.host}:{channel.port}"
    match error:
        case smtplib.SMTPAuthenticationError(smtp_code=code):
            return NotDelivered(
                f"{server} refused the login of {channel.user} ({code})",
                passing=code in _TRANSIENT,
                hint=f"check {channel.password_env} in the environment",
            )
        case smtplib.SMTPRecipientsRefused(recipients=refused):
            codes = {code for code, _ in refused.values()}
            said = ", ".join(str(code) for code in sorted(codes))
            return NotDelivered(
                f"{server} refused everybody whom it is for ({said})",
                passing=all(code in _TRANSIENT for code in codes),
                hint=f"correct `to` of {channel.name} in fleet.yaml",
            )
        case smtplib.SMTPSenderRefused(smtp_code=code):
            hint = f"correct `from` of {channel.name} in fleet.yaml"
            return _answered(f"{server} refused the sender", code, hint)
        case smtplib.SMTPDataError(smtp_code=code):
            return _answered(f"{server} refused the mail", code)
        case smtplib.SMTPResponseException(smtp_code=code):
            return _answered(f"{server} refused to talk to us", code)
        case smtplib.SMTPServerDisconnected():
            return NotDelivered(
                f"{server} hung up, or did not answer within {TIMEOUT_S:g} s", passing=True
            )
        case ssl.SSLCertVerificationError():
            return NotDelivered(
                f"{server} shows a certificate that is not to be trusted: {error.verify_message}",
                hint="name the host as in its certificate; SSL_CERT_FILE names further authorities",
            )
        case smtplib.SMTPException():  # by now one that the standard library words itself
            hint = "its port for submission is 587; starttls: false is for servers without it"
            return NotDelivered(f"{server}: {printable(str(error))}", hint=hint)
        case OSError():
            words = error.strerror or type(error).__name__
            return NotDelivered(f"{server} cannot be reached: {printable(words)}", passing=True)
        case _:
            return NotDelivered(f"{server}: {type(error).__name__}")


def _answered(what: str, code: int, hint: str | None = None) -> NotDelivered:
    """Return what a server refused, with its number; its words may hold ours, and are left out."""
    passing = code in _TRANSIENT
    return NotDelivered(f"{what} ({code})", passing=passing, hint=None if passing else hint)


def _mail(
    channel: MailChannel, message: Message, occasion: Occasion, instead_of_files: str = ""
) -> EmailMessage:
    mail = EmailMessage(policy=SMTP)
    mail["From"] = channel.sender
    mail["To"] = ", ".join(channel.to)
    mail["Subject"] = printable(message.subject)
    mail["Date"] = format_datetime(occasion.at)
    mail["Message-ID"] = _message_id(channel, occasion)
    if occasion.thread:
        root = Occasion(occasion.fleet, occasion.thread, occasion.at)
        mail["References"] = _message_id(channel, root)
    # So that nobody's holiday answers (RFC 3834).
    mail["Auto-Submitted"] = "auto-generated"
    text = message.text.rstrip("\n")
    mail.set_content(f"{text}\n\n{instead_of_files}\n" if instead_of_files else f"{text}\n")
    for file in () if instead_of_files else message.attachments:
        main, _, sub = file.media_type.partition("/")
        mail.add_attachment(file.content, maintype=main, subtype=sub, filename=file.name)
    return mail


def _message_id(channel: MailChannel, occasion: Occasion) -> str:
    """Return the same for the same night and channel, and for nothing else."""
    words = f"{occasion.fleet}\n{occasion.scan}\n{channel.name}"
    domain = channel.sender.rpartition("@")[2]
    return f"<{sha256(words.encode()).hexdigest()[:32]}@{domain}>"
