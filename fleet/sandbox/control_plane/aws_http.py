"""Serves all AWS services at one address, and tells them apart as AWS does.

``X-Amz-Target`` names the JSON services, the signature's scope STS, the path the public S3
objects; moto gets the rest. Signatures are not checked: an access key is enough.
"""

import asyncio
import hashlib
import json
import uuid
from collections.abc import Mapping
from concurrent.futures import Executor
from email.utils import formatdate
from typing import Any
from urllib.parse import parse_qsl

from aiohttp import web

from fleet.sandbox.agents.session import AwsFault
from fleet.sandbox.control_plane.engine import ControlPlane, not_modelled, unknown_key
from fleet.sandbox.control_plane.faults import FaultRule, strike
from fleet.sandbox.control_plane.moto_fallback import MotoFallback, moto_models
from fleet.sandbox.control_plane.ssm_nodes import NATIVE_TAG_TYPE
from fleet.sandbox.control_plane.wire import (
    CBOR_PROTOCOL,
    CBOR_TYPE,
    JSON_TYPE,
    XML_TYPE,
    Scope,
    cbor_error,
    json_body,
    json_error,
    query_error,
    s3_error,
    scope_of,
    sts_answer,
    target_of,
)

_PUBLIC_BUCKET = "amazon-ecs-agent"
_TAG_ACTIONS = {"AddTagsToResource", "RemoveTagsFromResource", "ListTagsForResource"}


class AwsHttp:
    """Answers requests that are meant for AWS.

    Args:
        plane: what is modelled.
        workers: where moto runs, which is slow; the control plane answers in the event loop.
    """

    def __init__(self, plane: ControlPlane, workers: Executor) -> None:
        self._plane = plane
        self._workers = workers
        self._moto = MotoFallback(plane.accounts)

    @property
    def moto_loaded(self) -> bool:
        """Say whether moto was needed so far."""
        return self._moto.loaded

    async def answer(self, request: web.Request) -> web.Response:
        """Answer one request.

        Raises:
            ConnectionDropped: a fault was asked for that gives no answer.
            SandboxError: moto is needed and not there.
        """
        path = request.path
        if path.startswith(("/acs/", "/tacs/")):
            text = "the fleet sandbox does not model agents over the wire"
            return self._reply(501, text.encode(), "text/plain")
        scope = scope_of(
            request.headers.get("Authorization", ""), request.query.get("X-Amz-Credential", "")
        )
        body = await request.read()
        target = request.headers.get("X-Amz-Target", "")
        service, action = target_of(target)
        if service:
            return await self._json_call(request, service, action, body, scope)
        if target.startswith("EC2WindowsMessageDeliveryService"):
            return self._json(*_fault_answer(not_modelled("ec2messages", action)))
        if scope.service == "sts" and request.method == "POST":
            return await self._sts_call(body, scope)
        if request.method in {"GET", "HEAD"} and path.startswith(f"/{_PUBLIC_BUCKET}"):
            return self._public_object(request)
        return await self._to_moto(request, body, scope)

    async def _json_call(
        self, request: web.Request, service: str, action: str, body: bytes, scope: Scope
    ) -> web.Response:
        try:
            values = json_body(body)
            native = self._plane.models(service, action)
            if service == "ssm" and action in _TAG_ACTIONS:
                native = values.get("ResourceType") == NATIVE_TAG_TYPE
            if not native and moto_models(service, action):
                return await self._to_moto(request, body, scope)
            answer = await self._perform(service, action, values, scope)
        except AwsFault as fault:
            return self._json(*_fault_answer(fault))
        return self._json(200, json.dumps(answer).encode())

    async def _sts_call(self, body: bytes, scope: Scope) -> web.Response:
        form = dict(parse_qsl(body.decode(errors="replace")))
        action = form.pop("Action", "")
        form.pop("Version", None)
        request_id = str(uuid.uuid4())
        try:
            answer = await self._perform("sts", action, form, scope)
        except AwsFault as fault:
            status, text = query_error(fault, request_id)
            return self._reply(status, text, XML_TYPE, request_id)
        return self._reply(200, sts_answer(action, answer, request_id), XML_TYPE, request_id)

    async def _perform(
        self, service: str, action: str, values: Mapping[str, Any], scope: Scope
    ) -> dict[str, Any]:
        fault = await self._fault(service, action, scope)
        return self._plane.perform(
            service, action, values, region=scope.region, access_key=scope.access_key, fault=fault
        )

    async def _fault(self, service: str, action: str, scope: Scope) -> FaultRule | None:
        account = self._plane.account_of(scope.access_key)
        fault = self._plane.faults.take(service, action, account, scope.region)
        if fault is not None and fault.delay_s:
            await asyncio.sleep(fault.delay_s)
        return fault

    def _public_object(self, request: web.Request) -> web.Response:
        name = request.path.lstrip("/")
        data = self._plane.public_objects.get(name)
        request_id = str(uuid.uuid4())
        if data is None:
            key = name.partition("/")[2]
            text = s3_error("NoSuchKey", "The specified key does not exist.", key, request_id)
            return self._reply(404, text, "application/xml", request_id)
        # An ETag of S3 is the MD5 of a whole object.
        etag = hashlib.md5(data, usedforsecurity=False).hexdigest()
        answer = self._reply(200, data, "binary/octet-stream", request_id)
        answer.headers["ETag"] = f'"{etag}"'
        answer.headers["Accept-Ranges"] = "bytes"
        answer.headers["Last-Modified"] = formatdate(0, usegmt=True)
        return answer

    async def _to_moto(self, request: web.Request, body: bytes, scope: Scope) -> web.Response:
        account = self._plane.account_of(scope.access_key)
        action = _action_of(request, body)
        try:
            if not account and scope.access_key:
                raise unknown_key()
            fault = await self._fault(scope.service, action, scope)
            if fault is not None and fault.when == "before":
                strike(fault)
            answer = await asyncio.get_running_loop().run_in_executor(
                self._workers,
                lambda: self._moto.answer(
                    request.method,
                    request.raw_path,
                    dict(request.headers),
                    body,
                    account or self._plane.accounts[0].account_id,
                ),
            )
            if fault is not None:
                strike(fault)
        except NotImplementedError:
            return self._refusal(request, not_modelled(scope.service, action))
        except AwsFault as error:
            return self._refusal(request, error)
        headers = {**dict(answer.headers), "Date": self._date()}
        return web.Response(status=answer.status, headers=headers, body=answer.body)

    def _refusal(self, request: web.Request, fault: AwsFault) -> web.Response:
        if "X-Amz-Target" in request.headers:
            return self._json(*_fault_answer(fault))
        if _is_cbor(request):
            answer = self._reply(fault.status, cbor_error(fault), CBOR_TYPE)
            answer.headers["smithy-protocol"] = CBOR_PROTOCOL
            return answer
        request_id = str(uuid.uuid4())
        status, text = query_error(fault, request_id)
        return self._reply(status, text, XML_TYPE, request_id)

    def _date(self) -> str:
        return formatdate(self._plane.store_time(), usegmt=True)

    def _reply(self, status: int, body: bytes, kind: str, request_id: str = "") -> web.Response:
        request_id = request_id or str(uuid.uuid4())
        headers = {
            "Content-Type": kind,
            "Date": self._date(),
            "x-amzn-RequestId": request_id,
            "x-amz-request-id": request_id,
        }
        return web.Response(status=status, body=body, headers=headers)

    def _json(self, status: int, body: bytes) -> web.Response:
        return self._reply(status, body, JSON_TYPE)


def _fault_answer(fault: AwsFault) -> tuple[int, bytes]:
    return fault.status, json_error(fault)


def _is_cbor(request: web.Request) -> bool:
    return request.headers.get("smithy-protocol") == CBOR_PROTOCOL


def _action_of(request: web.Request, body: bytes) -> str:
    """Return the name of a call that moto answers, or the HTTP method where there is none."""
    target = request.headers.get("X-Amz-Target", "")
    if target:
        return target.rpartition(".")[2]
    if _is_cbor(request):
        return request.path.rpartition("/")[2]
    if request.content_type == "application/x-www-form-urlencoded":
        return dict(parse_qsl(body.decode(errors="replace"))).get("Action", request.method)
    return request.method
