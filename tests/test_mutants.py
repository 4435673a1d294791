"""Mutants: which there are, which are drawn, and what is said of those that nobody can notice."""

from collections import Counter
from pathlib import Path

import pytest

from tests import mutants
from tests.equivalent_mutants import EQUIVALENT, reason
from tests.mutants import ROOT, Mutant, mutants_of
from tests.mutation import TESTS, sample

CODE = '''
def judge(ok: int, of: int) -> bool:
    """Words."""
    note(ok)
    return ok >= 2 * of
'''


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(mutants, "ROOT", tmp_path)
    (tmp_path / "judge.py").write_text(CODE, encoding="utf-8")
    return tmp_path / "judge.py"


def made(module: Path) -> dict[str, Mutant]:
    return {one.name: one for one in mutants_of(module.name)}


def test_limits_numbers_results_and_calls_are_changed(module: Path) -> None:
    assert Counter(one.after for one in made(module).values()) == Counter(
        ["None", "return None", "return ok > 2 * of", "return ok >= 3 * of", "return ok >= 2 // of"]
    )


def test_a_mutant_keeps_its_name_when_other_lines_come_and_go(module: Path) -> None:
    before = made(module)
    module.write_text(f"LIMIT = 3\n{CODE}\ndef other() -> int:\n    return 4\n", encoding="utf-8")
    after = made(module)
    assert len(after) > len(before)
    assert {name: one.diff for name, one in before.items()} == {
        name: after[name].diff for name in before
    }


def test_the_sample_is_the_same_in_every_run_and_another_with_another_seed() -> None:
    modules = list(TESTS)[:2]
    assert sample(modules, 20, 10) == sample(modules, 20, 10)
    assert sample(modules, 20, 10) != sample(modules, 20, 11)


def test_every_module_and_its_tests_are_there() -> None:
    assert [
        path for key in TESTS for path in (key, *TESTS[key]) if not (ROOT / path).exists()
    ] == []


def test_every_mutant_that_is_listed_as_equivalent_is_there() -> None:
    told = {one for module in TESTS for one in mutants_of(module) if reason(one)}
    found = {(one.module, one.owner, one.before, one.after) for one in told}
    assert {(one.module, one.owner, one.before, one.after) for one in EQUIVALENT} == found
