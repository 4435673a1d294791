"""What fleet 0.1 wrote is still read, and what its commands printed as JSON is still printed."""

import http.server
import json
import threading
from collections.abc import Callable, Iterator, Mapping
from fnmatch import fnmatch
from pathlib import Path

import pytest

from fleet.rollout.plan_request import read_plan
from tests.scenarios.conftest import Ran
from tests.version_0_1 import (
    CASES,
    NOW,
    Command,
    check_convention,
    commands,
    differences,
    lay_out,
    places,
    type_fleet,
)

_BEFORE_SENDING = "evidence from before a send is dropped when it is sent, not at the next look"
_ONE_OWED = "undelivered owes the release wherever it stands; dark and ok before owes nothing"
_BY_VERDICT = "a held change stands by its verdict, and one that ran it already is unchanged"
_EARLIER = "stores of earlier waves are a row of the gate, and count in the darkness test"
_ONE_CONVENTION = "every kind is the command and what the document holds, joined by dashes"
#: Their first words.
_STANDINGS = (
    *("by", "dark", "failed", "ok", "parked", "skipped"),
    *("unchanged", "undelivered", "waiting"),
)
#: Where a document differs from that of 0.1, and why: by the name of the command (* stands for
#: anything) and the place in it ([*] stands for every number).
OTHERWISE: Mapping[tuple[str, str], str] = {
    ("rollout-status-ro-10", "changes[64].evidence.try"): _BEFORE_SENDING,
    ("rollout-status-ro-10", "changes[64].evidence.reason"): _BEFORE_SENDING,
    ("rollout-status-ro-10", "changes[64].evidence.looked_at"): _BEFORE_SENDING,
    ("rollout-status-ro-10", "owed"): _ONE_OWED,
    ("rollout-status-ro-10", "changes[*].stands"): _BY_VERDICT,
    **{
        ("rollout-status-ro-10", f"{place}.{standing}"): _BY_VERDICT
        for place in ("tally", "waves[0].count")
        for standing in _STANDINGS
    },
    ("rollout-status-*", "gate.checks"): _EARLIER,
    ("rollout-status-ro-6*", "tally.by"): _BY_VERDICT,
    ("rollout-status-ro-6*", "waves[1].count.by"): _BY_VERDICT,
    ("rollout-status-ro-6*", "changes[*].stands"): _BY_VERDICT,
    **{
        (command, "kind"): _ONE_CONVENTION
        for command in ("hosts", "history-*", "explain-*", "inventory-*", "validate")
    },
}

Typed = Callable[..., Ran]


class _Clock(http.server.BaseHTTPRequestHandler):
    """A clock that stands still, as FLEET_CLOCK asks it."""

    def do_GET(self) -> None:
        body = json.dumps({"now": NOW.timestamp(), "rate": 0}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *words: object) -> None:
        """Write nothing."""


@pytest.fixture(scope="module")
def clock() -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Clock) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}/"
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files and the database as they were written; commands that only read share them."""
    made = tmp_path_factory.mktemp("version_0_1")
    lay_out(made)
    return made


@pytest.fixture
def typed(
    folder: Path,
    clock: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Typed:
    """Types a command in that folder, at the time at which it was typed before."""
    monkeypatch.chdir(folder)
    monkeypatch.setenv("FLEET_CLOCK", clock)
    monkeypatch.setenv("COLUMNS", "100")

    return lambda *words: type_fleet(words, monkeypatch, capsys)


@pytest.mark.parametrize("command", commands("records"), ids=lambda command: command.name)
def test_a_command_about_old_records_prints_what_it_printed(typed: Typed, command: Command) -> None:
    ran = typed(*command.words)

    assert ran.code == command.code, ran.err
    if not ran.out:
        assert not (CASES / "documents" / f"{command.name}.json").exists()
        return
    check_convention(command, ran.document)
    found = differences(command.document, ran.document)
    lost = [one for one in found if not is_listed(command.name, one)]
    assert not lost, "\n".join(lost)


def is_listed(name: str, difference: str) -> bool:
    """Whether a difference is listed with its reason."""
    return any(
        fnmatch(name, command) and where in places(difference) for command, where in OTHERWISE
    )


@pytest.mark.parametrize("command", commands("records"), ids=lambda command: command.name)
def test_it_is_shown_to_people_too(typed: Typed, command: Command) -> None:
    words = [word for word in command.words if word != "--json"]

    ran = typed(*words)

    assert ran.code == command.code, ran.err
    assert ran.out or ran.code
    assert "Traceback" not in ran.out + ran.err


def test_a_plan_file_is_read_back() -> None:
    was = json.loads((CASES / "plan.json").read_text(encoding="utf-8"))["plan"]

    plan = read_plan(CASES / "plan.json")

    assert (plan.release.id, plan.selection, plan.seed, plan.canary) == (
        *(was["release"]["id"], was["selection"], was["seed"]),
        was["canary"],
    )
    assert list(plan.workloads) == was["workloads"]
    assert (plan.policy.name, plan.policy.settle_s) == (
        was["policy"]["name"],
        was["policy"]["settle_s"],
    )
    assert [(wave.name, list(wave.stores)) for wave in plan.waves] == [
        (wave["name"], wave["stores"]) for wave in was["waves"]
    ]
    assert [(c.store, c.service, c.kind.value) for c in plan.changes] == [
        (change["store"], change["service"], change["kind"]) for change in was["changes"]
    ]
    assert {content: one.body for content, one in plan.release.task_definitions.items()} == {
        content: one["body"] for content, one in was["release"]["task_definitions"].items()
    }
