import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.sandbox.agents.session import AwsFault
from fleet.sandbox.control_plane.cluster_query import QuerySubject, parse

JETSON = QuerySubject(
    agent_connected=True,
    attributes={"ecs.cpu-architecture": "arm64", "fleet.ring": "canary", "bare": None},
    ec2_instance_id="mi-0c9e4f1ab2d37785e",
)
WORDS = st.from_regex(r"[a-z][a-z0-9_.-]{0,8}", fullmatch=True).filter(
    lambda word: word not in {"and", "or", "not", "in", "exists"}
)


@pytest.mark.parametrize(
    "text",
    [
        "attribute:ecs.cpu-architecture == arm64",
        "attribute:ecs.cpu-architecture equals 'arm64'",
        "attribute:fleet.ring != general",
        "attribute:missing != general",
        "attribute:fleet.ring in [early, canary]",
        "attribute:fleet.ring not_in ['general', \"late\"]",
        "attribute:fleet.ring !in [general]",
        "attribute:bare exists",
        "attribute:missing !exists",
        "attribute:missing not_exists",
        "attribute:fleet.ring =~ ^can.*",
        "attribute:fleet.ring !~ ^gen",
        "agentConnected == true",
        "agentConnected != false",
        "ec2InstanceId == mi-0c9e4f1ab2d37785e",
        "ec2InstanceId in [mi-1, mi-0c9e4f1ab2d37785e]",
        "not agentConnected == false",
        "!(agentConnected == false)",
        "attribute:a == b or agentConnected == true",
        "attribute:a == b || agentConnected == true && attribute:bare exists",
        "(attribute:a == b or agentConnected == true) and not attribute:a exists",
        "agentConnected==true&&attribute:bare exists",
    ],
)
def test_it_holds_for_the_jetson(text: str) -> None:
    assert parse(text)(JETSON)
    assert not parse(f"not ({text})")(JETSON)


@pytest.mark.parametrize(
    "text",
    [
        "attribute:missing == x",
        "attribute:bare == arm64",
        "attribute:missing =~ .*",
        "agentConnected == true and attribute:missing exists or attribute:bare == x",
    ],
)
def test_it_does_not_hold_for_the_jetson(text: str) -> None:
    assert not parse(text)(JETSON)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "ends where a subject should follow"),
        ("attribute:a", "ends where an operator should follow"),
        ("attribute:a ==", "ends where a value should follow"),
        ("attribute:a == b c", "unexpected 'c' at position 18"),
        ("attribute:a is b", "'is' at position 13 is no operator"),
        ("colour == red", "'colour' at position 1 is no subject"),
        ("attribute: == b", "is no subject"),
        ("'attribute:a' == b", "is no subject"),
        ("(attribute:a exists", "ends where"),
        ("attribute:a exists)", "unexpected ')'"),
        ("attribute:a in b", "should be '['"),
        ("attribute:a in []", "is no value"),
        ("attribute:a in [b", "ends where"),
        ("attribute:a =~ [", "is no value"),
        ("attribute:a =~ '['", "is no regular expression"),
        ("agentConnected == maybe", "true or false"),
        ("agentConnected > true", "'>' at position 16 is no operator"),
        ("agentConnected =~ true", "true or false, not =~"),
        ("runningTasksCount == 2", "is no subject"),
        ("agentConnected exists", "always exists"),
        ("attribute:a == b &", "unexpected '&'"),
        ("attribute:a == 'b", 'unexpected "\'"'),
        ("(" * 60 + "attribute:a exists" + ")" * 60, "nested deeper"),
        ("attribute:a == " + "b" * 1000, "characters long"),
    ],
)
def test_what_is_wrong_is_said(text: str, words: str) -> None:
    with pytest.raises(AwsFault, match=re.escape(words)) as caught:
        parse(text)
    assert caught.value.code == "InvalidParameterException"


@given(st.text(max_size=60))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        test = parse(text)
    except AwsFault as fault:
        assert fault.code == "InvalidParameterException"  # noqa: PT017 - both outcomes are right
    else:
        assert test(JETSON) in {True, False}


@given(st.lists(st.tuples(WORDS, WORDS), min_size=1, max_size=6))
def test_and_is_all_and_or_is_any(pairs: list[tuple[str, str]]) -> None:
    host = QuerySubject(
        agent_connected=False,
        attributes=dict(pairs[: len(pairs) // 2]),
        ec2_instance_id="",
    )
    tests = [f"attribute:{name} == {value}" for name, value in pairs]
    truths = [host.attributes.get(name) == value for name, value in pairs]
    assert parse(" and ".join(tests))(host) == all(truths)
    assert parse(" or ".join(tests))(host) == any(truths)
    assert parse(" && ".join(f"!({test})" for test in tests))(host) == (not any(truths))
