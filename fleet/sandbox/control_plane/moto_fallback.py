"""Passes every service except ECS, SSM nodes and STS to moto, loaded on first use.

Loading moto takes a second and 180 MB, so a sandbox that only registers hosts never does it. It
keeps nothing over a restart and lives by the machine's clock. Its ECS and its node operations of
SSM are wrong for external instances and are never reached.
"""

import hashlib
import json
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote, urlencode

from fleet.errors import SandboxError
from fleet.sandbox.agents.session import AwsFault
from fleet.sandbox.spec import AccountSpec

#: Actions of SSM that moto does well; the others are modelled here or refused.
_SSM_ACTIONS = (
    "AddTagsToResource CreateDocument DeleteDocument DeleteParameter DeleteParameters"
    " DescribeDocument DescribeParameters GetDocument GetParameter GetParameterHistory"
    " GetParameters GetParametersByPath LabelParameterVersion ListDocuments"
    " ListTagsForResource PutParameter RemoveTagsFromResource UpdateDocument"
)
_TRUST = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"Service": "ssm.amazonaws.com"},
                "Action": "sts:AssumeRole",
            }
        ],
    }
)
_PUT_IMAGE = "AmazonEC2ContainerRegistry_V20150921.PutImage"
_NOT_OURS = {"connection", "content-length", "date", "server", "transfer-encoding"}
_NOT_SENT = {"content-length", "transfer-encoding", "expect"}

WsgiApp = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


def moto_models(service: str, action: str) -> bool:
    """Say whether moto may answer an action of ECS or SSM; other services are all its own."""
    return service == "ssm" and action in _SSM_ACTIONS.split()


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back over WSGI."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes


class MotoFallback:
    """A moto of the sandbox's accounts. Answers one request at a time: moto has no locks.

    Args:
        accounts: each gets its instance role in IAM, trusted to ssm.amazonaws.com.
    """

    def __init__(self, accounts: Sequence[AccountSpec]) -> None:
        self._accounts = tuple(accounts)
        self._lock = threading.Lock()
        self._app: WsgiApp | None = None

    @property
    def loaded(self) -> bool:
        """Say whether moto was needed so far."""
        return self._app is not None

    def answer(
        self, method: str, target: str, headers: Mapping[str, str], body: bytes, account: str
    ) -> Answer:
        """Hand a request to moto.

        Args:
            method: of HTTP.
            target: path and query, as on the request line.
            headers: as sent.
            body: whole.
            account: whose resources are meant.

        Raises:
            SandboxError: moto is not installed.
            AwsFault: an image's manifest has not the digest that it is pushed under.
        """
        if any(value.endswith(_PUT_IMAGE) for value in headers.values()):
            body = with_digest(body)
        with self._lock:
            if self._app is None:
                self._app = self._load()
            return _ask(self._app, method, target, headers=headers, body=body, account=account)

    def _load(self) -> WsgiApp:
        try:
            from moto.moto_server.werkzeug_app import (
                DomainDispatcherApplication,
                create_backend_app,
            )
        except ImportError as error:
            raise SandboxError(
                f"moto, which answers for the other AWS services, cannot be loaded: {error}",
                hint='install the extra: pip install "fleet[sandbox]"',
            ) from error
        app: WsgiApp = DomainDispatcherApplication(create_backend_app)
        for spec in self._accounts:
            self._create_instance_role(app, spec)
        return app

    def _create_instance_role(self, app: WsgiApp, spec: AccountSpec) -> None:
        form = {
            "Action": "CreateRole",
            "Version": "2010-05-08",
            "RoleName": spec.instance_role,
            "AssumeRolePolicyDocument": _TRUST,
        }
        headers = {
            "Host": "127.0.0.1",
            "Content-Type": "application/x-www-form-urlencoded",
            "Authorization": (
                "AWS4-HMAC-SHA256 Credential=sandbox/20260101/us-east-1/iam/aws4_request,"
                " SignedHeaders=host, Signature=0"
            ),
        }
        body = urlencode(form).encode()
        made = _ask(app, "POST", "/", headers=headers, body=body, account=spec.account_id)
        # moto keeps its world per process, so an earlier sandbox in it may have made the role.
        is_there = b"<Code>EntityAlreadyExists</Code>" in made.body
        if made.status != 200 and not is_there:  # noqa: PLR2004 - HTTP's OK
            raise SandboxError(
                f"moto refused the instance role {spec.instance_role!r} of {spec.account_id}:"
                f" {made.body.decode(errors='replace')}"
            )


def with_digest(body: bytes) -> bytes:
    """Return a PutImage with the digest of its manifest, as ECR finds it.

    Left alone moto makes up one of a hundred random digests for a manifest list.
    """
    try:
        asked = json.loads(body)
        manifest = asked["imageManifest"].encode()
    except (ValueError, KeyError, TypeError, AttributeError):
        return body
    digest = f"sha256:{hashlib.sha256(manifest).hexdigest()}"
    if asked.get("imageDigest") not in {None, digest}:
        raise AwsFault(
            "ImageDigestDoesNotMatchException",
            f"The digest {asked['imageDigest']} does not match that of the manifest, {digest}.",
        )
    return json.dumps({**asked, "imageDigest": digest}).encode()


def _ask(
    app: WsgiApp,
    method: str,
    target: str,
    *,
    headers: Mapping[str, str],
    body: bytes,
    account: str,
) -> Answer:
    from werkzeug.test import EnvironBuilder, run_wsgi_app

    path, _, query = target.partition("?")
    sent = {name: value for name, value in headers.items() if name.lower() not in _NOT_SENT}
    sent["x-moto-account-id"] = account
    builder = EnvironBuilder(method=method, headers=list(sent.items()), data=body)
    environ = builder.get_environ()
    # PEP 3333: bytes of the path as latin-1 characters.
    environ |= {"PATH_INFO": unquote(path, "latin-1"), "QUERY_STRING": query}
    environ |= {"RAW_URI": target, "REQUEST_URI": target}
    parts, status, answer_headers = run_wsgi_app(app, environ, buffered=True)
    kept = tuple(
        (name, value)
        for name, value in answer_headers
        if name.lower() not in _NOT_OURS or (method == "HEAD" and name.lower() == "content-length")
    )
    return Answer(int(status.split(maxsplit=1)[0]), kept, b"".join(parts))
