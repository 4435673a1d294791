"""How often the darkness test halts a harmless rollout of 1,000 stores, and how soon it finds harm.

The long test prints the tables: ``pytest --long -s tests/rollout/decide/test_darkness_rates.py``.
"""

import sys
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from functools import partial

import pytest

from tests.rollout.decide.darkness_rates import POLICY, WAVES, Ended, World, play, upper_bound

#: Of the long test.
RUNS = 2000
DARKNESS = (0.0, 0.005, 0.02, 0.05)


def played(world: World, runs: int) -> list[Ended]:
    if runs < 100:
        return [play(world, seed) for seed in range(runs)]
    with ProcessPoolExecutor(2) as pool:
        return list(pool.map(partial(play, world), range(runs), chunksize=20))


@pytest.mark.parametrize(
    "world",
    [
        World(0.05, stores=300),
        World(0.05, stores=300, flappers=0.1),
        World(0.05, stores=300, carriers=3),
    ],
    ids=["alike", "a tenth flaps", "by carrier"],
)
def test_a_harmless_release_is_hardly_ever_halted(world: World) -> None:
    halts = sum(ended.wave is not None for ended in played(world, 60))
    assert halts <= POLICY.alpha * 60


def test_a_release_that_takes_a_fifth_of_the_links_is_always_found() -> None:
    found = played(World(0.005, stores=300, excess=0.2), 20)
    assert all(ended.wave is not None for ended in found)
    assert max(ended.sent for ended in found) < 300


@pytest.mark.long
@pytest.mark.parametrize("darkness", DARKNESS)
def test_false_halts_stay_below_alpha(darkness: float) -> None:
    halts = sum(ended.wave is not None for ended in played(World(darkness), RUNS))
    upper = upper_bound(halts, RUNS)
    sys.stdout.write(f"{darkness:.1%} dark: {halts} of {RUNS} halted, at most {upper:.2%}\n")
    assert upper <= POLICY.alpha


@pytest.mark.long
@pytest.mark.parametrize("darkness", DARKNESS)
def test_a_large_excess_is_found_before_the_last_wave_ends(darkness: float) -> None:
    for excess in (0.05, 0.2):
        ended = played(World(darkness, excess=excess), 500)
        waves = Counter(one.wave for one in ended)
        shares = ", ".join(f"{wave or 'not'} {waves[wave] / 500:.0%}" for wave in (*WAVES, None))
        sys.stdout.write(f"{excess:.0%} more, {darkness:.1%} dark: {shares}\n")
    assert waves[None] <= 25
