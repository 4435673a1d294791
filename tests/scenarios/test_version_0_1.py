"""What commands print as JSON of AWS and the hosts has every key that it had in fleet 0.1."""

from collections.abc import Mapping

import pytest

from tests.scenarios.conftest import World
from tests.scenarios.test_register import TakeStore
from tests.version_0_1 import check_convention, commands, keys, type_fleet

#: Keys of 0.1 that a document no longer has, by the name of the command and the key, and why.
GONE: Mapping[tuple[str, str], str] = {}

#: What happens to the shop before a command: its link is cut or restored, and time passes.
BEFORE = {"shop-drift-dark": "cut", "shop-drift-back": "restore"}


def test_a_shop_is_told_of_with_every_key_of_version_0_1(
    world: World,
    store: TakeStore,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    shop = store()
    monkeypatch.chdir(world.folder)
    for name, value in world.env.items():
        if name.startswith(("AWS_", "FLEET_", "HOME")):
            monkeypatch.setenv(name, value)
    expected: list[tuple[str, str, set[str]]] = []
    seen: dict[str, set[str]] = {}
    for command in commands("shop"):
        if command.name in BEFORE:
            world.control(BEFORE[command.name], {"target": shop})
            world.control("clock/advance", {"seconds": 1800})
        ran = type_fleet((word.format(store=shop) for word in command.words), monkeypatch, capsys)
        assert ran.code == command.code, (command.name, ran.err)
        check_convention(command, ran.document)
        kind = ran.document["kind"]
        expected.append((command.name, kind, keys(command.document)))
        seen[kind] = seen.get(kind, set()) | keys(ran.document)
    # What a list holds depends on the moment: in which of two scans a shop was still away.
    missing = [
        (name, key)
        for name, kind, wanted in expected
        for key in wanted - seen[kind]
        if (name, key) not in GONE
    ]
    assert missing == []
