import pytest

from fleet.aws.calls import LARGEST_FILE
from fleet.aws.installer import fetch_installer
from fleet.errors import AccessDenied, AwsError, AwsUnreachable
from tests.aws.canned import Canned, html, reply, reset
from tests.aws.conftest import HandClock
from tests.sandbox.control_plane.rig import INSTALLER, Rig

BUCKET, KEY, REGION = "amazon-ecs-agent", "ecs-anywhere-install-latest.sh", "us-east-1"
ERROR = "<Error><Code>{}</Code><Message>no</Message></Error>"


def fetch(clock: HandClock) -> bytes:
    return fetch_installer(BUCKET, KEY, REGION, clock=clock)


def test_the_script_is_read_from_the_bucket(rig: Rig, clock: HandClock) -> None:
    assert fetch(clock) == INSTALLER


def test_no_credentials_are_needed_nor_sent(
    canned: Canned, clock: HandClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    canned.answers = [reply(b"#!/bin/bash", content_type="text/plain")]
    fetch(clock)
    assert "authorization" not in canned.asked[0]
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    assert fetch(clock) == b"#!/bin/bash"


def test_a_passing_failure_is_outlived(canned: Canned, clock: HandClock) -> None:
    whole = reply(b"#!/bin/bash", content_type="text/plain")
    cut = reply(b"#!/bin", length=11, content_type="text/plain")
    canned.answers = [html(503), reset, cut, whole]
    assert fetch(clock) == b"#!/bin/bash"


def test_a_script_that_is_always_cut_off_is_never_handed_out(
    canned: Canned, clock: HandClock
) -> None:
    canned.answers = [reply(b"#!/bin", length=11, content_type="text/plain")]
    with pytest.raises(AwsUnreachable, match="s3:GetObject"):
        fetch(clock)


def test_a_script_of_the_largest_size_is_taken(canned: Canned, clock: HandClock) -> None:
    canned.answers = [reply(b"#" * LARGEST_FILE, content_type="text/plain")]
    assert len(fetch(clock)) == LARGEST_FILE


def test_what_is_larger_is_not(canned: Canned, clock: HandClock) -> None:
    canned.answers = [reply(b"#" * (LARGEST_FILE + 1), content_type="text/plain")]
    with pytest.raises(AwsError, match="larger than 1024 KiB"):
        fetch(clock)


def test_an_empty_one_is_not(canned: Canned, clock: HandClock) -> None:
    canned.answers = [reply(b"", content_type="text/plain")]
    with pytest.raises(AwsError, match=f"s3://{BUCKET}/{KEY} is empty"):
        fetch(clock)


def test_a_script_that_is_not_there_says_where_its_place_is_written(
    canned: Canned, clock: HandClock
) -> None:
    body = ERROR.format("NoSuchKey").encode()
    canned.answers = [reply(body, 404, content_type="application/xml")]
    with pytest.raises(AwsError, match="NoSuchKey") as raised:
        fetch(clock)
    assert "installer:" in str(raised.value.hint)


def test_a_bucket_that_is_closed_is_denied(canned: Canned, clock: HandClock) -> None:
    body = ERROR.format("AccessDenied").encode()
    canned.answers = [reply(body, 403, content_type="application/xml")]
    with pytest.raises(AccessDenied, match="s3:GetObject"):
        fetch(clock)
