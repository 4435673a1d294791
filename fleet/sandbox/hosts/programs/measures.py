"""Programs that measure: ``df``, ``free``, ``sleep``, ``timedatectl``, the clock of ``date``."""

import re

from fleet.sandbox.hosts.programs.call import Call, Reply, failed, said, unsupported
from fleet.sandbox.hosts.shop_host import ShopHost
from fleet.sandbox.hosts.waiting import wait

_KIB = 1024
_UNITS = {"K": _KIB, "M": _KIB**2, "G": _KIB**3, "1": 1}
_SECONDS = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_DURATION = re.compile(r"(\d+(?:\.\d*)?|\.\d+)([smhd]?)")


def df(host: ShopHost, call: Call) -> Reply:
    """The disk of /, whatever path is asked for: a host has one."""
    asked = _df_options(call)
    if isinstance(asked, Reply):
        return asked
    block, columns, human = asked
    total = host.spec.disk_total_mb
    free = int(host.disk_free_mb())

    def amount(mib: int) -> str:
        if human:
            return f"{mib / _KIB:.1f}G"
        return str(mib * _KIB**2 // block)

    values = {
        "source": ("Filesystem", "/dev/root"),
        "fstype": ("Type", "ext4"),
        "size": (f"{block}-blocks", amount(total)),
        "used": ("Used", amount(total - free)),
        "avail": ("Avail", amount(free)),
        "pcent": ("Use%", f"{100 * (total - free) // max(total, 1)}%"),
        "target": ("Mounted on", "/"),
    }
    if unknown := [name for name in columns if name not in values]:
        return unsupported(call, unknown[0])
    rows = [" ".join(values[name][row] for name in columns) for row in (0, 1)]
    return Reply(0, "".join(f"{row}\n" for row in rows).encode())


def _df_options(call: Call) -> tuple[int, list[str], bool] | Reply:
    """Block size in bytes, columns, and whether sizes are for people."""
    block, columns, human = _KIB, ["source", "size", "used", "avail", "pcent", "target"], False
    for word in call.args:
        if word.startswith("--output="):
            columns = word.partition("=")[2].split(",")
        elif word.startswith(("-B", "--block-size=")):
            size = word.removeprefix("-B").removeprefix("--block-size=")
            block = _UNITS.get(size[:1], 0)
        elif word.startswith("--") or (word.startswith("-") and set(word[1:]) - set("PkmhTla")):
            return unsupported(call, word)
        elif word.startswith("-"):
            block = _KIB**2 if "m" in word else block
            human = human or "h" in word
    return (block, columns, human) if block else failed(1, "df: invalid block size")


def free(host: ShopHost, call: Call) -> Reply:
    """Memory, with ``-m``, ``-k`` or ``-b``."""
    options = "".join(word.lstrip("-") for word in call.args)
    if set(options) - set("mkb"):
        return unsupported(call, options)
    size = 1 if "b" in options else _KIB**2 if "m" in options else _KIB
    total = host.spec.memory_mb * _KIB**2 // size
    return Reply(
        0,
        (
            "               total        used        free      shared  buff/cache   available\n"
            f"Mem: {total} {total // 4} {total // 2} 0 {total // 4} {total * 3 // 4}\n"
            "Swap: 0 0 0\n"
        ).encode(),
    )


def sleep(host: ShopHost, call: Call) -> Reply:
    """Wait in the sandbox's time."""
    total = 0.0
    for word in call.args:
        match = _DURATION.fullmatch(word)
        if match is None:
            return failed(1, f"sleep: invalid time interval '{word}'")
        total += float(match[1]) * _SECONDS[match[2]]
    wait(host.clock, total)
    return Reply()


def clock(host: ShopHost, _call: Call) -> Reply:
    """What the host's clock says, for ``date``."""
    return said(f"{host.now():.9f}")


def timedatectl(host: ShopHost, call: Call) -> Reply:
    """Whether the clock is kept: it is, unless somebody put it wrong."""
    synchronized = "no" if host.conditions.clock_offset_s else "yes"
    if call.args[:1] == ("show",):
        value = "--value" in call.args
        return said(synchronized if value else f"NTPSynchronized={synchronized}")
    return said(f"System clock synchronized: {synchronized}\n              NTP service: active")


def reboot(host: ShopHost, call: Call) -> Reply:
    """Power off and on."""
    if not call.root:
        return failed(1, "Failed to reboot: Access denied")
    host.reboot()
    return Reply()
