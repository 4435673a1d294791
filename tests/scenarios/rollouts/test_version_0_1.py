"""What a rollout and its reconstruction print as JSON has every key that it had in fleet 0.1."""

import shutil
from collections.abc import Mapping

import pytest

from tests.scenarios.rollouts.conftest import TakeShops
from tests.version_0_1 import check_convention, commands, keys

#: Keys of 0.1 that a document no longer has, by the name of the command and the key, and why.
GONE: Mapping[tuple[str, str], str] = {}


@pytest.mark.long
def test_a_rollout_is_told_of_with_every_key_of_version_0_1(take: TakeShops) -> None:
    shops = take(2)
    shops.release("1.9.0")
    missing = []
    for command in commands("rollout"):
        if command.name == "rollout-rebuilt":
            shutil.rmtree(shops.folder / ".fleet")
        ran = shops.fleet(*command.words)
        assert ran.code == command.code, (command.name, ran.err)
        check_convention(command, ran.document)
        gone = keys(command.document) - keys(ran.document)
        missing += [(command.name, key) for key in gone if (command.name, key) not in GONE]
    assert missing == []
