"""What findings propose is typed as it stands: it is not refused, and sends only where it says so.

Commands of fleet are typed; calls of AWS are made with boto3 from their words. What an operator
asks a host itself is left out, as the boxes of a town have no shells.
"""

import json
import shlex
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore import xform_name

from fleet.sandbox.control_plane.engine import access_key_for
from tests.scenarios.drift.injections import INJECTIONS
from tests.scenarios.drift.scanning import open_town, type_in, typing_environment
from tests.scenarios.drift.spots import Spot
from tests.scenarios.drift.test_injections import TOGETHER, play
from tests.scenarios.drift.town import Plan, Town

#: What calls begin with that change nothing.
READS = ("Describe", "List", "Get", "BatchGet", "AssumeRole")
#: Exit codes of a command that was refused, or found somebody else at work.
REFUSED = {2, 5, 130}
#: A host without a shell can be neither registered nor logged in to.
NOT_TYPED = ("fleet register", "ssh ")


class Desk:
    """A town in which something is wrong, its clock running, and what is typed there."""

    def __init__(self, town: Town) -> None:
        self.town = town
        self.writes: list[tuple[str, Mapping[str, Any]]] = []
        self._watch()
        town.clock.set_rate(200)
        town.chain.schedule.start()
        self.env = typing_environment(town)

    def fleet(self, *words: str) -> tuple[int, str, str]:
        ran = type_in(self.town, *words)
        return ran.returncode, ran.stdout, ran.stderr

    def proposed(self) -> list[Mapping[str, Any]]:
        """Commands of the findings of a scan, each once."""
        _code, out, err = self.fleet("drift", "--digests", "--deep", "--json")
        assert out, err
        found = [c for one in json.loads(out)["findings"] for c in one["commands"]]
        return list({c["words"]: c for c in found}.values())

    def type(self, command: Mapping[str, Any]) -> None:
        """Type a command, and check that it is not refused and sends only if it says so."""
        program, *words = shlex.split(command["words"])
        before = len(self.writes)
        if program == "fleet":
            starts = words[0] == "rollout" and command["sends"]
            code, _out, err = self.fleet(*words, *(["--yes"] if starts else []))
            assert code not in REFUSED, (command, code, err)
        else:
            aws(self.env, words)
        made = self.writes[before:]
        assert bool(made) is command["sends"], (command, made)

    def _watch(self) -> None:
        """Note what operators tell AWS to change from now on."""
        plane = self.town.chain.plane
        perform = plane.perform
        operators = {access_key_for(account.account_id) for account in plane.accounts}

        def noted(service: str, action: str, body: Mapping[str, Any], **more: Any) -> Any:
            if more["access_key"] in operators and not action.startswith(READS):
                self.writes.append((action, body))
            return perform(service, action, body, **more)

        setattr(plane, "perform", noted)  # noqa: B010 - mypy takes no assignment to a method


def aws(env: Mapping[str, str], words: list[str]) -> None:
    """Make the call that ``aws SERVICE OPERATION --options`` would make."""
    service, operation, *rest = words
    options: dict[str, list[str]] = {}
    name = ""
    for word in rest:
        if word.startswith("--"):
            name = word.removeprefix("--")
            options[name] = []
        else:
            options[name].append(word)
    for shown in ("query", "output"):  # what the command line makes of the answer
        options.pop(shown, None)
    [region], [profile] = options.pop("region"), options.pop("profile")
    session = boto3.Session(aws_access_key_id=_key(env, profile), aws_secret_access_key="dummy")
    client = session.client(service, region_name=region, endpoint_url=env["AWS_ENDPOINT_URL"])
    method = operation.replace("-", "_")
    shape = client.meta.service_model.operation_model(client.meta.method_to_api_mapping[method])
    members = {
        xform_name(member).replace("_", "-"): (member, of.type_name)
        for member, of in shape.input_shape.members.items()
    }
    body: dict[str, Any] = {}
    for option, values in options.items():
        member, kind = members[option]
        tags = [value.split(",") for value in values if "=" in value]
        pairs = [dict(pair.split("=", 1) for pair in tag) for tag in tags]
        body[member] = {"list": pairs or values, "boolean": True}.get(kind) or values[0]
    getattr(client, method)(**body)
    client.close()


def _key(env: Mapping[str, str], profile: str) -> str:
    section = ""
    for line in Path(env["AWS_SHARED_CREDENTIALS_FILE"]).read_text().splitlines():
        if line.startswith("["):
            section = line.strip("[] ")
        elif section == profile and line.startswith("aws_access_key_id"):
            return line.split("=", 1)[1].strip()
    raise AssertionError(f"no credentials for {profile}")


@contextmanager
def desk(folder: Path, monkeypatch: pytest.MonkeyPatch, *codes: str) -> Iterator[Desk]:
    """A town in which these are wrong, each in a shop of its own."""
    with open_town(folder, monkeypatch, Plan(stores=len(codes) + 1)) as (town, scans):
        scans.scan()
        wrong = [
            (INJECTIONS[code], Spot(town, n, INJECTIONS[code].halves[0]))
            for n, code in enumerate(codes)
        ]
        play(town, wrong)
        yield Desk(town)


def can_be_typed(command: Mapping[str, Any]) -> bool:
    # Parameters of send-command have a syntax of their own; ``$(`` is a shell's.
    words = str(command["words"])
    return not (words.startswith(NOT_TYPED) or " send-command " in words or "$(" in words)


def test_what_is_proposed_for_hosts_is_not_refused_and_sends_only_where_it_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with desk(tmp_path, monkeypatch, "HOST_DRAINING", "GHOST_NODE") as here:
        commands = [c for c in here.proposed() if can_be_typed(c)]
        assert len(commands) > 1
        for command in commands:
            here.type(command)
        assert not here.proposed()


@pytest.mark.long
@pytest.mark.parametrize("code", TOGETHER)
def test_what_is_proposed_is_not_refused_and_sends_only_where_it_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str
) -> None:
    with desk(tmp_path, monkeypatch, code) as here:
        for command in here.proposed():
            if can_be_typed(command):
                here.type(command)
