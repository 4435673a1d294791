"""Parses and writes AWS's protocols: signatures, actions, replies and errors."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from xml.sax.saxutils import escape

from fleet.sandbox.agents.session import AwsFault

JSON_TYPE = "application/x-amz-json-1.1"
XML_TYPE = "text/xml"
CBOR_TYPE = "application/cbor"
#: The protocol in which boto3 calls CloudWatch; the action is the last part of the path.
CBOR_PROTOCOL = "rpc-v2-cbor"
_STS = "https://sts.amazonaws.com/doc/2011-06-15/"
_CREDENTIAL = re.compile(r"Credential=([^/,\s]+)/([0-9]{8})/([a-z0-9-]+)/([a-z0-9-]+)/aws4_request")
_TARGETS = {"AmazonEC2ContainerServiceV20141113": "ecs", "AmazonSSM": "ssm"}
# The query protocol names the errors of credentials differently, with 403 instead of 400.
_QUERY_ERRORS = {
    "UnrecognizedClientException": ("InvalidClientTokenId", 403),
    "ExpiredTokenException": ("ExpiredToken", 403),
    "AccessDeniedException": ("AccessDenied", 403),
    "UnknownOperationException": ("InvalidAction", 400),
    "ThrottlingException": ("Throttling", 400),
}


@dataclass(frozen=True, slots=True)
class Scope:
    """What a signature says: its key, region and service; empty for an unsigned request."""

    access_key: str = ""
    region: str = ""
    service: str = ""


def scope_of(authorization: str, presigned: str = "") -> Scope:
    """Return the scope of an Authorization header or of a presigned ``X-Amz-Credential``."""
    match = _CREDENTIAL.search(authorization or f"Credential={presigned}")
    return Scope(match[1], match[3], match[4]) if match else Scope()


def target_of(header: str) -> tuple[str, str]:
    """Return service ("" if it is none of ours) and action of an ``X-Amz-Target``."""
    prefix, _, action = header.rpartition(".")
    return _TARGETS.get(prefix, ""), action


def json_body(data: bytes) -> dict[str, Any]:
    """Return the object in a JSON request.

    Raises:
        AwsFault: SerializationException, without any of what was sent.
    """
    try:
        body = json.loads(data or b"{}")
    except ValueError:
        body = None
    if not isinstance(body, dict):
        raise AwsFault("SerializationException", "the body is not a JSON object")
    return body


def json_error(fault: AwsFault) -> bytes:
    """Return an error as ECS and SSM answer it."""
    return json.dumps({"__type": fault.code, "message": fault.message}).encode()


def cbor_error(fault: AwsFault) -> bytes:
    """Return an error as CloudWatch answers it: a CBOR map of two texts (Smithy RPC v2)."""
    pairs = (("__type", fault.code), ("message", fault.message))
    return b"\xa2" + b"".join(_cbor_text(text) for pair in pairs for text in pair)


def _cbor_text(text: str) -> bytes:
    """Return a text string of CBOR with its length in two bytes (RFC 8949)."""
    content = text.encode()
    return b"\x79" + len(content).to_bytes(2, "big") + content


def sts_answer(action: str, result: Mapping[str, Any], request_id: str) -> bytes:
    """Return an answer of STS."""
    return (
        f'<{action}Response xmlns="{_STS}"><{action}Result>{_elements(result)}</{action}Result>'
        f"<ResponseMetadata><RequestId>{request_id}</RequestId></ResponseMetadata>"
        f"</{action}Response>"
    ).encode()


def query_error(fault: AwsFault, request_id: str) -> tuple[int, bytes]:
    """Return status and body of an error in the query protocol."""
    code, status = _QUERY_ERRORS.get(fault.code, (fault.code, fault.status))
    kind = "Sender" if status < 500 else "Receiver"  # noqa: PLR2004 - HTTP's two error classes
    body = (
        f'<ErrorResponse xmlns="{_STS}"><Error><Type>{kind}</Type><Code>{escape(code)}</Code>'
        f"<Message>{escape(fault.message)}</Message></Error>"
        f"<RequestId>{request_id}</RequestId></ErrorResponse>"
    )
    return status, body.encode()


def s3_error(code: str, message: str, key: str, request_id: str) -> bytes:
    """Return an error of S3."""
    return (
        f"<Error><Code>{code}</Code><Message>{escape(message)}</Message>"
        f"<Key>{escape(key)}</Key><RequestId>{request_id}</RequestId></Error>"
    ).encode()


def _elements(values: Mapping[str, Any]) -> str:
    return "".join(
        f"<{name}>{_elements(value) if isinstance(value, Mapping) else escape(str(value))}</{name}>"
        for name, value in values.items()
    )
