"""Changes code in one place at a time and runs its tests, to see that one of them fails.

    scripts/mutate                               a sample of 400 mutants of all modules of TESTS
    scripts/mutate --sample 40 --only gate.py    of some modules
    scripts/mutate --list                        of the same, without running them

Collecting the tests of a module takes longer than running them, and a fresh pytest for each of 400
mutants takes hours. So they are collected once; each mutant is a fork in which the code of one
function is replaced, and which runs the tests that call it, the quickest first. A mutant outside of
a function gets a pytest of its own. Which mutants are drawn, and which examples hypothesis tries,
is the same in every run; a change of the code moves no other mutant into the sample or out of it.
Those that change nothing that can be seen are listed in ``equivalent_mutants``, and not
run.
"""

import argparse
import gc
import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import threading
import time
import types
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, SourceFileLoader
from importlib.util import spec_from_file_location
from pathlib import Path

import pytest

from tests.equivalent_mutants import reason
from tests.mutants import ROOT, Mutant, mutants_of

_ROLLOUT = "tests/rollout/decide/"
_JUDGING = ("test_verdict_cases", "test_verdict", "test_observe", "test_restarts")
_VERDICTS = [f"{_ROLLOUT}{name}.py" for name in _JUDGING]
_HOURS = [
    f"tests/inventory/decide/test_{name}.py"
    for name in ("calendar", "opening_hours", "power", "checks")
]
_GATE = [f"{_ROLLOUT}test_{name}.py" for name in ("gate", "gate_now", "tick_halts", "tick")]
#: Module -> the tests that ought to notice a change of it: unit tests and properties only.
TESTS: dict[str, list[str]] = {
    "fleet/rollout/decide/gate.py": _GATE,
    "fleet/rollout/decide/verdict.py": _VERDICTS,
    "fleet/rollout/decide/judgement.py": _VERDICTS,
    "fleet/rollout/decide/observe.py": [
        f"{_ROLLOUT}test_{name}.py" for name in ("observe", "tick", "tick_halts", "restarts")
    ],
    "fleet/rollout/decide/darkness.py": [f"{_ROLLOUT}test_darkness.py", *_GATE],
    "fleet/rollout/decide/surveys.py": [
        f"{_ROLLOUT}test_{name}.py" for name in ("surveys", "tick", "tick_halts")
    ],
    "fleet/rollout/decide/change_facts.py": [f"{_ROLLOUT}test_change_facts.py", *_VERDICTS, *_GATE],
    "fleet/rollout/decide/waves.py": [
        f"{_ROLLOUT}test_{name}.py" for name in ("waves", "weights", "plan")
    ],
    "fleet/rollout/decide/freshness.py": [
        f"{_ROLLOUT}test_freshness.py",
        f"{_ROLLOUT}test_tick.py",
    ],
    "fleet/inventory/decide/calendar.py": _HOURS,
    "fleet/inventory/decide/opening_hours.py": _HOURS,
    "fleet/inventory/decide/power.py": _HOURS,
    "fleet/runtime/lease.py": ["tests/runtime/test_lease.py"],
    "fleet/records/leases.py": ["tests/records/test_leases.py", "tests/runtime/test_lease.py"],
    "fleet/drift/decide/fix_rules.py": [
        "tests/drift/decide/test_fix_rules.py",
        "tests/drift/decide/test_fixes.py",
    ],
    "fleet/drift/decide/fixes.py": [
        "tests/drift/decide/test_fixes.py",
        "tests/drift/decide/test_fix_rules.py",
    ],
    "fleet/drift/fixes.py": ["tests/drift/test_fixes.py"],
    "fleet/drift/reread.py": ["tests/drift/test_reread.py"],
    "fleet/records/holds.py": ["tests/records/test_holds.py"],
    "fleet/model/policy.py": ["tests/model/test_policy.py"],
    "fleet/ssh/install.py": ["tests/ssh/test_install_report.py"],
}
#: Seconds for the tests of one mutant, or four times what they take: one that loops for ever is
#: killed by that.
LIMIT_S = 120.0


@dataclass(frozen=True, slots=True)
class Ended:
    """How the tests took a mutant: the one that failed, or "" when none did."""

    mutant: Mutant
    killed_by: str
    seconds: float


class Runner:
    """A pytest plugin that runs the collected tests once for each mutant, each in a fork."""

    def __init__(self, module: str, mutants: Sequence[Mutant]) -> None:
        self.module = module
        self.mutants = mutants
        self.ended: list[Ended] = []
        self.baseline = ""
        self._limit_s = 5 * LIMIT_S

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Run the tests unchanged, then those that run what is changed, once for each mutant."""
        # Forks share the folder for their files; each would else make one and tidy up older ones.
        session.config._tmp_path_factory.getbasetemp()  # type: ignore[attr-defined]
        with tempfile.NamedTemporaryFile() as file:
            began = time.monotonic()
            told = self._forked(lambda: _run_unchanged(session, self.module, Path(file.name)))
            self.baseline = told
            self._limit_s = max(LIMIT_S, 4 * (time.monotonic() - began))
            ran = [] if told else json.loads(Path(file.name).read_text(encoding="utf-8"))
        items = dict(zip((item.nodeid for item in session.items), session.items, strict=True))
        for mutant in () if self.baseline else self.mutants:
            some = [items[test] for test, owners in ran if mutant.owner in owners]
            began = time.monotonic()
            told = self._forked(partial(_run_changed, session, mutant, some or session.items))
            self.ended.append(Ended(mutant, told, time.monotonic() - began))
            _say(_line(self.ended[-1]))
        return True

    def _forked(self, work: Callable[[], str]) -> str:
        """Return the test that failed; "" for none."""
        began, (here, there) = time.monotonic(), os.pipe()
        child = os.fork()
        if child == 0:
            os.close(here)
            code = 0
            try:
                os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
                os.setsid()
                os.write(there, work().encode()[:4000])
            except BaseException as error:  # noqa: BLE001 - whatever it is, the mutant was noticed
                os.write(there, repr(error).encode()[:4000])
                code = 1
            os._exit(code)
        os.close(there)
        said = _read_all(here, began + self._limit_s)
        if said is None:
            os.killpg(child, signal.SIGKILL)
        os.waitpid(child, 0)
        os.close(here)
        return "it took too long" if said is None else said


def _read_all(pipe: int, until: float) -> str | None:
    """Read to the end; None when that has not come in time."""
    parts: list[bytes] = []
    while True:
        ready, _, _ = select.select([pipe], [], [], max(0.0, until - time.monotonic()))
        if not ready:
            return None
        part = os.read(pipe, 4096)
        if not part:
            return b"".join(parts).decode(errors="replace")
        parts.append(part)


def _run_unchanged(session: pytest.Session, module: str, told: Path) -> str:
    """Write down which functions of the module each test runs; the quickest test first."""
    path, seen = str(ROOT / module), set[str]()
    took: list[tuple[float, str, list[str]]] = []

    def note(frame: types.FrameType, event: str, _: object) -> None:
        if event == "call" and frame.f_code.co_filename == path:
            seen.add(frame.f_code.co_qualname.partition(".<locals>")[0])

    for item in session.items:
        seen.clear()
        began = time.monotonic()
        threading.setprofile(note)
        sys.setprofile(note)
        failed = _first_failure(session, [item])
        sys.setprofile(None)
        if failed:
            return failed
        took.append((time.monotonic() - began, item.nodeid, sorted(seen)))
    told.write_text(json.dumps([one[1:] for one in sorted(took)]), encoding="utf-8")
    return ""


def _run_changed(session: pytest.Session, mutant: Mutant, items: Sequence[pytest.Item]) -> str:
    _apply(mutant)
    return _first_failure(session, items)


def _first_failure(session: pytest.Session, items: Sequence[pytest.Item]) -> str:
    failed: list[str] = []

    class Listener:
        def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
            if report.failed:
                failed.append(report.nodeid)

    listener = Listener()
    session.config.pluginmanager.register(listener)
    try:
        for item, following in zip(items, [*items[1:], None], strict=True):
            session.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
            if failed:
                return failed[0]
    finally:
        session.config.pluginmanager.unregister(listener)
    return ""


def _apply(mutant: Mutant) -> None:
    """Replace the code of the function that the mutant changes, wherever it is referred to."""
    path = str(ROOT / mutant.module)
    made = compile(mutant.tree, path, "exec")
    codes = {code.co_qualname: code for code in _codes(made)}
    found = [
        one
        for one in gc.get_objects()
        if isinstance(one, types.FunctionType)
        and one.__code__.co_filename == path
        and one.__code__.co_qualname == mutant.owner
    ]
    if not found:
        raise LookupError(f"{mutant.owner} of {mutant.module} is not loaded")
    for one in found:
        one.__code__ = codes[mutant.owner]


def _codes(code: types.CodeType) -> Iterator[types.CodeType]:
    yield code
    for part in code.co_consts:
        if isinstance(part, types.CodeType):
            yield from _codes(part)


class _Loader(SourceFileLoader):
    """Loads the changed module in place of the one that is written."""

    def __init__(self, mutant: Mutant) -> None:
        super().__init__(mutant.module.removesuffix(".py").replace("/", "."), mutant.module)
        self._tree = mutant.tree

    def get_code(self, fullname: str) -> types.CodeType:
        return compile(self._tree, str(ROOT / self.path), "exec")


class _Finder(MetaPathFinder):
    def __init__(self, loader: _Loader) -> None:
        self._loader = loader

    def find_spec(self, fullname: str, *_: object) -> ModuleSpec | None:
        if fullname != self._loader.name:
            return None
        return spec_from_file_location(fullname, ROOT / self._loader.path, loader=self._loader)


def _alone(mutant: Mutant, tests: Sequence[str]) -> Ended:
    """Run the tests of a mutant outside of any function in a pytest of its own."""
    began = time.monotonic()
    words = [sys.executable, "-m", "tests.mutation", "--alone", mutant.module]
    words += [mutant.name, *tests]
    try:
        done = subprocess.run(
            words, check=False, capture_output=True, text=True, timeout=5 * LIMIT_S, cwd=ROOT
        )
        failed = [line for line in done.stdout.splitlines() if line.startswith(("FAILED", "ERROR"))]
        killed_by = "" if done.returncode == 0 else (failed or ["it cannot be imported"])[0]
    except subprocess.TimeoutExpired:
        killed_by = "it took too long"
    return Ended(mutant, killed_by, time.monotonic() - began)


_PYTEST = ["-q", "-x", "-p", "no:cacheprovider", "-p", "no:xdist", "-p", "no:randomly"]
_PYTEST += ["--hypothesis-profile=mutation"]


def _run_alone(module: str, name: str, tests: Sequence[str]) -> int:
    mutant = next(one for one in mutants_of(module) if one.name == name)
    sys.meta_path.insert(0, _Finder(_Loader(mutant)))
    return int(pytest.main([*_PYTEST, *tests]))


def run(module: str, mutants: Sequence[Mutant]) -> list[Ended]:
    """Run the tests of a module against some of its mutants."""
    inside = [one for one in mutants if one.owner]
    runner = Runner(module, inside)
    if inside:
        # In a folder of its own: what pytest keeps of other runs is tidied up by those.
        with tempfile.TemporaryDirectory() as folder:
            words = [*_PYTEST, "-s", f"--basetemp={folder}/pytest", *TESTS[module]]
            pytest.main(words, plugins=[runner])
        if runner.baseline or len(runner.ended) < len(inside):
            raise SystemExit(f"the tests of {module} fail without a change: {runner.baseline}")
    for one in mutants:
        if not one.owner:
            runner.ended.append(_alone(one, TESTS[module]))
            _say(_line(runner.ended[-1]))
    return runner.ended


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def _line(ended: Ended) -> str:
    one, by = ended.mutant, ended.killed_by.rpartition("::")[2]
    what = f"killed by {by}" if ended.killed_by else "SURVIVED"
    return f"{one.module}:{one.line} {one.owner} {one.name} {ended.seconds:.1f}s {what}"


def sample(modules: Sequence[str], size: int, seed: int) -> list[Mutant]:
    """Draw mutants of these modules; a change of one module leaves those of others as they are."""
    every = [mutant for module in modules for mutant in mutants_of(module)]
    drawn = sorted(every, key=lambda one: zlib.crc32(f"{seed} {one.module} {one.name}".encode()))[
        :size
    ]
    chosen = set(drawn)
    return [one for one in every if one in chosen]


def _is_meant(mutant: Mutant, only: Sequence[str]) -> bool:
    return any(word in {mutant.name, Path(mutant.module).name, mutant.module} for word in only)


def main() -> int:
    """Draw a sample, run it module by module, and print a table and the survivors."""
    parser = argparse.ArgumentParser(prog="scripts/mutate", description="Mutation testing.")
    parser.add_argument("--sample", type=int, default=400)
    parser.add_argument("--seed", type=int, default=10)
    parser.add_argument(
        "--only", nargs="*", default=[], help="gate.py, or a mutant as gate.py:1f0c77aa"
    )
    parser.add_argument("--list", action="store_true", help="print the mutants, run nothing")
    parser.add_argument("--worker", nargs=2, help=argparse.SUPPRESS)
    parser.add_argument("--alone", nargs="+", help=argparse.SUPPRESS)
    told = parser.parse_args()
    if told.alone:
        module, name, *tests = told.alone
        return _run_alone(module, name, tests)
    drawn = sample(list(TESTS), told.sample, told.seed)
    if told.only:
        drawn = [m for m in drawn if _is_meant(m, told.only)]
    if told.list:
        for one in drawn:
            _say(f"{one.module}:{one.line} {one.owner} {one.name}\n{one.diff}")
        return 0
    if told.worker:
        ended = run(told.worker[0], [one for one in drawn if one.module == told.worker[0]])
        survived = [one.mutant.name for one in ended if not one.killed_by]
        Path(told.worker[1]).write_text(json.dumps(survived), encoding="utf-8")
        return 0
    return _report(drawn, told.sample, told.seed)


def _report(drawn: Sequence[Mutant], size: int, seed: int) -> int:
    """Run each module in a process of its own, and print a table, the equivalent, the survivors."""
    table: list[tuple[str, int, int, int]] = []
    survivors: list[Mutant] = []
    alike = [one for one in drawn if reason(one)]
    for module in TESTS:
        mine = {one.name: one for one in drawn if one.module == module}
        asked = [name for name, one in mine.items() if one not in alike]
        lived: list[Mutant] = []
        if asked:
            with tempfile.NamedTemporaryFile() as file:
                words = [sys.executable, "-m", "tests.mutation", "--worker", module, file.name]
                words += ["--sample", str(size), "--seed", str(seed), "--only", *asked]
                subprocess.run(words, check=True, cwd=ROOT)
                lived = [mine[name] for name in json.loads(Path(file.name).read_text())]
        survivors += lived
        if mine:
            table.append((module, len(mine), len(mine) - len(asked), len(lived)))
    for one in alike:
        _say(f"EQUIVALENT {one.module}:{one.line} {one.owner} {one.name}: {reason(one)}")
    for one in survivors:
        _say(f"SURVIVED {one.module}:{one.line} {one.owner} {one.name}\n{one.diff}")
    for module, *counts in [*table, ("all", len(drawn), len(alike), len(survivors))]:
        count, same, left = counts
        killed = count - same - left
        part = killed / (count - same) if count > same else 1.0
        _say(f"{module:40} {count:4} mutants {same:3} equivalent {killed:4} killed {part:7.1%}")
    return bool(survivors)


if __name__ == "__main__":
    raise SystemExit(main())
