"""The command ``systemctl``."""

from fleet.sandbox.hosts.programs.call import ProgramCall, ProgramReply, failed, unsupported
from fleet.sandbox.hosts.shop_host import ShopHost
from fleet.sandbox.hosts.units import UnitNotFound, Units

_CHANGES = {"start", "stop", "restart", "enable", "disable"}
_IGNORED = {"--no-block", "--no-pager", "--no-legend", "--now", "--quiet", "-q", "--value"}
_INACTIVE = 3
_NO_SUCH_UNIT = 5


def systemctl(host: ShopHost, call: ProgramCall) -> ProgramReply:
    """Run is-active, is-enabled, show, start, stop, restart, enable, disable or daemon-reload."""
    words, properties, unknown = _words(call)
    if unknown:
        return unsupported(call, unknown)
    verb, units = (words[0], words[1:]) if words else ("", [])
    quiet = bool({"--quiet", "-q"} & set(call.args))
    if verb == "daemon-reload":
        return ProgramReply()
    if verb in {"is-active", "is-enabled"}:
        return _ask(host, verb, units, quiet=quiet)
    if verb == "show":
        return _show(host, units, properties, value="--value" in call.args)
    if verb not in _CHANGES:
        return unsupported(call, verb)
    if not call.root:
        return failed(1, f"Failed to {verb} {units[0] if units else ''}: Access denied")
    return _change(host, verb, units, now="--now" in call.args)


def _words(call: ProgramCall) -> tuple[list[str], list[str], str]:
    """Return verb and units, the properties asked for, and an unknown option or ""."""
    words: list[str] = []
    properties: list[str] = []
    rest = iter(call.args)
    for word in rest:
        if word in {"-p", "--property"}:
            properties += next(rest, "").split(",")
        elif word.startswith(("--property=", "-p")):
            properties += word.removeprefix("--property=").removeprefix("-p").split(",")
        elif word.startswith("-") and word not in _IGNORED:
            return words, properties, word
        elif not word.startswith("-"):
            words.append(word)
    return words, properties, ""


def _ask(host: ShopHost, verb: str, units: list[str], *, quiet: bool) -> ProgramReply:
    lines, errors, good = [], [], False
    for unit in units:
        if verb == "is-enabled":
            if not host.units.installed(unit):
                errors.append(f"Failed to get unit file state for {unit}: No such file")
                continue
            enabled = host.units.enabled(unit)
            lines.append("enabled" if enabled else "disabled")
            good = good or enabled
        else:
            active = host.units.state(unit).active
            lines.append(active)
            good = good or active == "active"
    out = "" if quiet else "".join(f"{line}\n" for line in lines)
    status = 0 if good else 1 if verb == "is-enabled" else _INACTIVE
    return ProgramReply(status, out.encode(), "".join(f"{line}\n" for line in errors).encode())


def _show(host: ShopHost, units: list[str], wanted: list[str], *, value: bool) -> ProgramReply:
    blocks = []
    for unit in units:
        everything = _properties(host, unit)
        names = [name for name in wanted if name in everything] or list(everything)
        lines = [everything[n] if value else f"{n}={everything[n]}" for n in names]
        blocks.append("".join(f"{line}\n" for line in lines))
    return ProgramReply(0, "\n".join(blocks).encode())


def _properties(host: ShopHost, unit: str) -> dict[str, str]:
    installed = host.units.installed(unit)
    state = host.units.state(unit)
    return {
        "Id": f"{host.units.plain(unit)}.service",
        "LoadState": "loaded" if installed else "not-found",
        "ActiveState": state.active,
        "SubState": {"active": "running", "activating": "auto-restart", "inactive": "dead"}.get(
            state.active, state.active
        ),
        "UnitFileState": ("enabled" if host.units.enabled(unit) else "disabled")
        if installed
        else "",
        "Result": "exit-code" if state.exit_code else "success",
        "ExecMainStatus": str(state.exit_code),
        "NRestarts": str(state.restarts),
    }


def _change(host: ShopHost, verb: str, units: list[str], *, now: bool) -> ProgramReply:
    for unit in units:
        try:
            code = _change_one(host.units, verb, unit, now=now)
        except UnitNotFound as error:
            return failed(_NO_SUCH_UNIT, f"Failed to {verb} {unit}: {error}")
        if code:
            name = f"{host.units.plain(unit)}.service"
            return failed(
                1,
                f"Job for {name} failed because the control process exited with error code.\n"
                f'See "systemctl status {name}" and "journalctl -xe" for details.',
            )
    return ProgramReply()


def _change_one(units: Units, verb: str, unit: str, *, now: bool) -> int:
    if verb == "enable":
        units.enable(unit)
    elif verb == "disable":
        units.disable(unit)
    if verb == "stop" or (verb == "disable" and now):
        units.stop(unit)
    if verb == "start" or (verb == "enable" and now):
        return units.start(unit)
    if verb == "restart":
        return units.restart(unit)
    return 0
