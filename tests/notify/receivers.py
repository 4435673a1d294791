"""Real receivers on loopback: a mail server, and one of webhooks, that keep what they get."""

import json
import ssl
import threading
from asyncio import Server
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

USER, PASSWORD = "fleet", "s3cr3t-p4ss"
LOOPBACK = "127.0.0.1"


@dataclass(frozen=True)
class Certificate:
    """A certificate of this machine's loopback, signed by itself, and its key."""

    certificate: Path
    key: Path

    def server(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate, self.key)
        return context


def make_certificate(folder: Path) -> Certificate:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "receiver.example")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address(LOOPBACK))]), False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), True)
        .sign(key, hashes.SHA256())
    )
    paths = Certificate(folder / "certificate.pem", folder / "key.pem")
    paths.certificate.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    paths.key.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return paths


@dataclass
class Post:
    """A mail server's handler: keeps mails, and answers what a test wrote down.

    Attributes:
        answers: to mails, one after the other; taken when none is left.
        refused: addresses that it takes nothing for, and how it says so.
        tls: whether each mail came encrypted.
    """

    answers: list[str] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)
    mails: list[EmailMessage] = field(default_factory=list)
    recipients: list[list[str]] = field(default_factory=list)
    tls: list[bool] = field(default_factory=list)
    logins: list[str] = field(default_factory=list)
    port: int = 0

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's name
        self, _server: Any, _session: Any, envelope: Any, address: str, _options: Any
    ) -> str:
        if address in self.refused:
            return self.refused[address]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, _server: Any, session: Any, envelope: Any) -> str:  # noqa: N802 - aiosmtpd's name
        answer = self.answers.pop(0) if self.answers else "250 OK"
        if answer.startswith("250"):
            mail = message_from_bytes(envelope.content, policy=policy.SMTP)
            assert isinstance(mail, EmailMessage)
            self.mails.append(mail)
            self.recipients.append(list(envelope.rcpt_tos))
            self.tls.append(session.ssl is not None)
        return answer

    def login(self, _server: Any, _session: Any, _envelope: Any, _how: str, who: Any) -> AuthResult:
        assert isinstance(who, LoginPassword)
        self.logins.append(who.login.decode())
        right = (who.login.decode(), who.password.decode()) == (USER, PASSWORD)
        # What a server says may repeat what it was told.
        said = f"535 5.7.8 no such user or password: {who.password.decode()}"
        return AuthResult(success=right, message=None if right else said, handled=False)


@contextmanager
def mail_server(
    certificate: Certificate | None = None, *, login: bool = False, size: int = 0
) -> Iterator[Post]:
    """A mail server; with a certificate, one that takes nothing before STARTTLS."""
    post = Post()

    class Mailbox(Controller):
        def factory(self) -> SMTP:
            return SMTP(
                post,
                hostname="receiver.example",
                data_size_limit=size or None,
                tls_context=certificate.server() if certificate else None,
                require_starttls=certificate is not None,
                auth_required=login,
                auth_require_tls=certificate is not None,
                authenticator=post.login if login else None,
            )

        def _trigger_server(self) -> None:
            """Learn the port first: it greets itself there to see that it is up."""
            assert isinstance(self.server, Server)
            self.port = self.server.sockets[0].getsockname()[1]
            super()._trigger_server()  # type: ignore[no-untyped-call]  # aiosmtpd's own

    server = Mailbox(post, hostname=LOOPBACK, port=0)
    server.start()
    try:
        post.port = server.port
        yield post
    finally:
        server.stop()


@dataclass
class Hook:
    """A receiver of webhooks.

    Attributes:
        answers: status and headers, one after the other; 200 when none is left.
        posted: bodies of what was posted, read as JSON.
    """

    url: str = ""
    answers: list[tuple[int, dict[str, str]]] = field(default_factory=list)
    posted: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)


@contextmanager
def hook(certificate: Certificate | None = None) -> Iterator[Hook]:
    """A receiver of webhooks; over TLS when there is a certificate."""
    kept = Hook()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            kept.posted.append(json.loads(body))
            kept.headers.append(dict(self.headers))
            status, headers = kept.answers.pop(0) if kept.answers else (200, {})
            self.send_response(status)
            for name, value in {**headers, "Content-Length": "9"}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(b"s3cr3t ok")

        def log_message(self, *_words: Any) -> None:
            pass

    class Receiver(ThreadingHTTPServer):
        def handle_error(self, *_words: Any) -> None:
            pass  # a client that trusts us not breaks off; that is what the test is about

    server = Receiver((LOOPBACK, 0), Handler)
    scheme = "http"
    if certificate is not None:
        server.socket = certificate.server().wrap_socket(server.socket, server_side=True)
        scheme = "https"
    kept.url = f"{scheme}://{LOOPBACK}:{server.server_port}/services/s3cr3t"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield kept
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
