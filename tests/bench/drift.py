"""What the nightly scan promises about calls, time and memory, over fleets of growing size.

Each scan is a process of its own against the sandbox at AWS's published rates; times are the
sandbox's, because real ones say more about this machine.
"""

from tests.bench.taking import apart
from tests.scenarios.drift.measuring import FAST, Took, least, measured, plan_of

SIZES = (100, 1000, 10_000)
#: Where the naive loop is bearable: it takes minutes at ten times that.
BEARABLE = 100


def scanning() -> str:
    """A first night, the nightly pass and one with digests; each size in a process of its own."""
    return "; ".join(apart(_scan, size) for size in SIZES)


def against_naive() -> str:
    """The loop that most teams write, at the same fleet in the same run."""
    return apart(_compare, BEARABLE)


def _scan(size: int) -> str:
    with measured(size) as town:
        first, nightly, digests = town.fleet(), town.fleet(), town.fleet("--digests")
    plan = plan_of(size)
    return f"{size:,} stores, {size * len(plan.hosts):,} hosts: " + ", ".join(
        (
            _words("first", first, least(plan, first=True)),
            _words("nightly", nightly, least(plan)),
            _words("digests", digests, least(plan, digests=True)),
        )
    )


def _words(name: str, took: Took, bound: tuple[int, float]) -> str:
    calls, seconds = bound
    return (
        f"{name} {took.words} ({took.calls.total() / calls:.2f} of the least calls, "
        f"{took.sandbox_s / seconds:.2f} of the least time)"
    )


def _compare(size: int) -> str:
    with measured(size) as town:
        town.fleet(rate=FAST)
        ours, naive = town.fleet(), town.naive()
    return (
        f"{size} stores: fleet {ours.calls.total()} calls, {ours.sandbox_s:.0f} s, "
        f"{ours.memory_mb:.0f} MB; naive {naive.calls.total()} calls "
        f"({naive.calls.total() / ours.calls.total():.1f}x), {naive.sandbox_s:.0f} s "
        f"({naive.sandbox_s / ours.sandbox_s:.1f}x), {naive.throttled} throttled, "
        f"{naive.memory_mb:.0f} MB"
    )
