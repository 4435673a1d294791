"""The commands ``df``, ``sleep`` and ``date``."""

import re

from fleet.sandbox.hosts.programs.call import (
    ProgramCall,
    ProgramReply,
    failed,
    said,
    unsupported,
    wait,
)
from fleet.sandbox.hosts.shop_host import ShopHost

_KIB = 1024
_SECONDS = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_DURATION = re.compile(r"(\d+(?:\.\d*)?|\.\d+)([smhd]?)")


def df(host: ShopHost, call: ProgramCall) -> ProgramReply:
    """Show the disk of /, whatever path is asked for: ``-P``, ``-k``, ``-m`` and ``-h``."""
    options = "".join(word[1:] for word in call.args if word.startswith("-"))
    if set(options) - set("Pkmh"):
        return unsupported(call, f"-{options}")
    total = host.spec.disk_total_mb
    free = int(host.disk_free_mb())

    def amount(mib: int) -> str:
        if "h" in options:
            return f"{mib / _KIB:.1f}G"
        return str(mib if "m" in options else mib * _KIB)

    used = f"{100 * (total - free) // max(total, 1)}%"
    sizes = f"{amount(total)} {amount(total - free)} {amount(free)}"
    return said(f"Filesystem blocks Used Available Use% Mounted on\n/dev/root {sizes} {used} /")


def sleep(host: ShopHost, call: ProgramCall) -> ProgramReply:
    """Wait in the sandbox's time."""
    total = 0.0
    for word in call.args:
        match = _DURATION.fullmatch(word)
        if match is None:
            return failed(1, f"sleep: invalid time interval '{word}'")
        total += float(match[1]) * _SECONDS[match[2]]
    wait(host.clock, total)
    return ProgramReply()


def clock(host: ShopHost, _call: ProgramCall) -> ProgramReply:
    """Return what the host's clock says, for ``date``."""
    return said(f"{host.now():.9f}")
