import json

import pytest

from fleet.aws.log_groups import create_log_group, describe_log_groups
from fleet.aws.session import Shard
from fleet.errors import AwsError, CredentialsError
from fleet.model.desired import LogGroup
from tests.aws.canned import Canned, fault, html, reply, reset
from tests.aws.conftest import Open

TAGS = {"fleet:fleet": "shops"}
PASSING = [fault("ThrottlingException"), fault("OperationAbortedException"), html(503), reset]


def test_a_group_is_made_with_its_retention_and_found_again(shard: Shard) -> None:
    create_log_group(shard, LogGroup("/fleet/vision", 30), TAGS)
    create_log_group(shard, LogGroup("/fleet/vision-other", 7), {})
    seen = describe_log_groups(shard, ["/fleet/vision", "/fleet/none", "/fleet/vision"]).value
    assert seen == {"/fleet/vision": 30}


def test_a_group_whose_creation_was_not_answered_gets_its_retention_all_the_same(
    canned: Canned, open_shard: Open
) -> None:
    canned.answers = [reset, fault("ResourceAlreadyExistsException"), reply({})]
    create_log_group(open_shard(), LogGroup("/fleet/vision", 30), TAGS)
    assert json.loads(canned.bodies[-1]) == {
        "logGroupName": "/fleet/vision",
        "retentionInDays": 30,
    }


def test_only_the_whole_name_counts_and_later_pages_are_read(
    canned: Canned, open_shard: Open
) -> None:
    canned.answers = [
        reply({"logGroups": [{"logGroupName": "/a/b"}], "nextToken": "t"}),
        reply({"logGroups": [{"logGroupName": "/a"}]}),
    ]
    assert describe_log_groups(open_shard(), ["/a"]).value == {"/a": None}


def test_both_outlive_passing_failures(canned: Canned, open_shard: Open) -> None:
    canned.answers = [*PASSING, reply({"logGroups": []})]
    assert describe_log_groups(open_shard(), ["/a"]).value == {}
    canned.answers = [*PASSING, reply({}), *PASSING, reply({})]
    create_log_group(open_shard(), LogGroup("/a", 30), {})
    assert len(canned.asked) == 3 * (len(PASSING) + 1)


def test_an_answer_without_groups_is_an_error(canned: Canned, open_shard: Open) -> None:
    canned.answers = [reply({})]
    with pytest.raises(AwsError, match="logs:DescribeLogGroups"):
        describe_log_groups(open_shard(), ["/a"])


def test_a_retention_that_aws_does_not_know_is_an_error(canned: Canned, open_shard: Open) -> None:
    canned.answers = [reply({}), fault("InvalidParameterException", "31 is no retention")]
    with pytest.raises(AwsError, match=r"logs:PutRetentionPolicy .*31 is no retention"):
        create_log_group(open_shard(), LogGroup("/a", 31), {})


def test_expired_credentials_end_it_at_once(canned: Canned, open_shard: Open) -> None:
    canned.answers = [fault("ExpiredTokenException")]
    with pytest.raises(CredentialsError):
        describe_log_groups(open_shard(), ["/a"])
    assert len(canned.asked) == 1
