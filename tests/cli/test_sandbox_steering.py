"""What people type to make things happen, against a daemon in this process."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from fleet.cli.sandbox import app
from fleet.sandbox.daemon import Daemon, running
from fleet.sandbox.spec import (
    AccountSpec,
    SandboxSpec,
    StateDir,
    spec_as_json,
)
from tests.sandbox.shop import ACCOUNT, REGION, host_spec

Type = Callable[..., Result]
START = 1_900_000_000.0


@pytest.fixture
def daemon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Daemon]:
    monkeypatch.setenv("FLEET_STATE", str(tmp_path))
    state = StateDir(tmp_path / "sandbox")
    state.path.mkdir()
    spec = SandboxSpec(
        (AccountSpec(ACCOUNT, "emea-prod"),), (host_spec(),), REGION, 0.0, start=START
    )
    state.spec.write_text(json.dumps(spec_as_json(spec)))
    with running(state) as daemon:
        yield daemon


@pytest.fixture
def typed(daemon: Daemon) -> Type:
    return lambda *words: CliRunner().invoke(app, list(words))


def test_a_link_is_slowed_and_gets_its_own_speed_back(daemon: Daemon, typed: Type) -> None:
    done = typed("slow", "store-042", "--mbps", "0.5")
    assert "0.5 Mbit/s: store-042/tel-1" in done.stderr
    assert daemon.shops.host("store-042/tel-1").conditions.slow_to_mbps == 0.5
    typed("slow", "store-042", "--off")
    assert daemon.shops.host("store-042/tel-1").conditions.slow_to_mbps is None


def test_a_link_flaps_until_it_is_restored(daemon: Daemon, typed: Type) -> None:
    done = typed("flap", "store-042/tel-1", "--every", "5m", "--down", "1m30s")
    assert "down 90 s in every 300 s: store-042/tel-1" in done.stderr
    host = daemon.shops.host("store-042/tel-1")
    assert host.conditions.flap == [300, 90]
    typed("restore", "store-042")
    assert host.conditions.flap == []


def test_an_images_behaviour_is_told_shown_and_taken_back(daemon: Daemon, typed: Type) -> None:
    words = ["--run", "crash", "--exit-code", "3", "--after", "30s", "--on", "arm64", "--on", "nuc"]
    shown = typed("image", "shops/vision:2", *words, "--log", "no libnvinfer")
    assert shown.stdout == (
        "shops/vision:2  run crash, exit_code 3, log no libnvinfer, after_s 30.0, on arm64+nuc\n"
    )
    document = json.loads(typed("image", "--json").stdout)
    assert (document["version"], document["kind"]) == (1, "sandbox-images")
    assert document["images"]["shops/vision:2"]["on"] == ["arm64", "nuc"]
    assert typed("image", "shops/vision:2", "--good").stdout == "shops/vision:2  good\n"
    assert daemon.shops.images.as_json() == {}


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["image", "--run", "crash"], "which image is meant"),
        (["image", "vision", "--run", "explode"], "explode"),
        (["slow", "store-042", "--mbps", "0"], "slow_to_mbps cannot be 0"),
        (["flap", "store-042", "--every", "1m", "--down", "2m"], "flap cannot be"),
        (["cut", "store-9"], "no store store-9"),
    ],
)
def test_what_makes_no_sense_is_refused_in_words(
    typed: Type, words: list[str], complaint: str
) -> None:
    refused = typed(*words)
    assert refused.exit_code != 0
    assert complaint in str(refused.exception)


@pytest.mark.parametrize("span", ["soon", "5x", "1m later"])
def test_a_span_that_is_none_is_refused_with_an_example(typed: Type, span: str) -> None:
    refused = typed("clock", "--advance", span)
    assert refused.exit_code == 2
    words = " ".join(refused.stderr.replace("│", " ").split())
    assert "is no time span; write 30s, 5m or 1h30m" in words


def test_the_clock_jumps_by_the_span(daemon: Daemon, typed: Type) -> None:
    before = daemon.clock.now()
    assert before == START
    shown = typed("clock", "--advance", "1h0.5m")
    assert daemon.clock.now() == before + 3630
    assert shown.stdout == "2030-03-17T18:47:10Z  standing still\n"


def test_another_pace_holds_from_now_on_and_after_a_restart(daemon: Daemon, typed: Type) -> None:
    assert "40x real time" in typed("clock", "--rate", "40").stdout
    assert daemon.clock.rate == 40
    assert json.loads(daemon.state.spec.read_text())["clock_rate"] == 40
