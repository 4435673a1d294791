import json

import pytest

from fleet.sandbox.agents.session import AwsFault
from fleet.sandbox.control_plane.wire import (
    Scope,
    json_body,
    json_error,
    query_error,
    scope_of,
    sts_answer,
    target_of,
)

SIGNED = (
    "AWS4-HMAC-SHA256 Credential={key}/20261122/eu-west-1/ecs/aws4_request,"
    " SignedHeaders=host;x-amz-date, Signature=0"
)


@pytest.mark.parametrize("key", ["AKIASBX0111122223333", "mi-0c9e4f1ab2d37785e"])
def test_the_scope_names_key_region_and_service(key: str) -> None:
    assert scope_of(SIGNED.format(key=key)) == Scope(key, "eu-west-1", "ecs")


def test_a_presigned_request_has_its_scope_in_the_query() -> None:
    assert scope_of("", "AKIA/20261122/us-east-1/s3/aws4_request").service == "s3"


@pytest.mark.parametrize("header", ["", "Bearer abc", "AWS4-HMAC-SHA256 Credential=a/b"])
def test_an_unsigned_request_has_no_scope(header: str) -> None:
    assert scope_of(header) == Scope()


@pytest.mark.parametrize(
    ("header", "found"),
    [
        ("AmazonEC2ContainerServiceV20141113.ListClusters", ("ecs", "ListClusters")),
        ("AmazonSSM.GetParameter", ("ssm", "GetParameter")),
        ("DynamoDB_20120810.ListTables", ("", "ListTables")),
        ("", ("", "")),
    ],
)
def test_the_target_names_service_and_action(header: str, found: tuple[str, str]) -> None:
    assert target_of(header) == found


@pytest.mark.parametrize("data", [b"[]", b"{", b"\xff", b'"code"'])
def test_a_body_that_is_no_object_is_refused_without_repeating_it(data: bytes) -> None:
    with pytest.raises(AwsFault, match="SerializationException") as caught:
        json_body(data)
    assert caught.value.__cause__ is None
    assert "code" not in caught.value.message


def test_an_empty_body_is_an_empty_object() -> None:
    assert json_body(b"") == {}


def test_a_json_error_names_its_type() -> None:
    body = json.loads(json_error(AwsFault("ClientException", "no")))
    assert body == {"__type": "ClientException", "message": "no"}


def test_the_query_protocol_has_names_of_its_own_for_bad_credentials() -> None:
    status, body = query_error(AwsFault("UnrecognizedClientException", "a < b"), "r-1")
    assert status == 403
    assert b"<Code>InvalidClientTokenId</Code><Message>a &lt; b</Message>" in body


def test_values_are_escaped_in_xml() -> None:
    body = sts_answer("GetCallerIdentity", {"Arn": "<&>", "More": {"In": "1"}}, "r-1")
    assert b"<Arn>&lt;&amp;&gt;</Arn><More><In>1</In></More>" in body
