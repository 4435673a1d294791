"""``docker``, as far as one asks it about itself and its containers."""

import json
import re
from dataclasses import dataclass
from typing import Any

from fleet.sandbox.agents.containers import Container
from fleet.sandbox.hosts.programs import docker_things
from fleet.sandbox.hosts.programs.call import Call, Reply, failed, unsupported
from fleet.sandbox.hosts.shop_host import ShopHost

_DOWN = (
    "Cannot connect to the Docker daemon at unix:///var/run/docker.sock. "
    "Is the docker daemon running?"
)
_VERBS = {
    "version",
    "info",
    "ps",
    "images",
    "image inspect",
    "system df",
    "system info",
    "logs",
    "inspect",
}
_INDEX = re.compile(r'index (\S+) "([^"]*)"')
_DENIED = "permission denied while trying to connect to the Docker daemon socket"
_ACTION = re.compile(r"{{\s*(.*?)\s*}}")
_RANGE = re.compile(r"{{\s*range\s+(.*?)\s*}}(.*?){{\s*end\s*}}", re.DOTALL)


_OF_TWO_WORDS = (["system"], ["image"])


class _TemplateError(Exception):
    pass


@dataclass(frozen=True, slots=True)
class _Asked:
    """What a command line asks for."""

    words: list[str]
    template: str
    filters: list[str]
    everything: bool
    quiet: bool


def docker(host: ShopHost, call: Call) -> Reply:
    """``version``, ``info``, ``ps``, ``images``, ``system df``, ``inspect``, ``logs``."""
    asked = _read(call)
    words = asked.words
    verb = " ".join(words[:2]) if words[:1] in _OF_TWO_WORDS else (words or [""])[0]
    if verb in {"--version", "-v"}:
        return Reply(0, f"Docker version {_version(host)}, build 0000000\n".encode())
    if verb not in _VERBS:
        return unsupported(call, verb or "no command")
    if not host.docker_active():
        return failed(1, _DOWN)
    if not call.root:
        return failed(1, _DENIED)
    if verb in {"logs", "inspect", "image inspect"}:
        return _about_each(host, verb, asked)
    try:
        if verb in {"version", "info", "system info"}:
            value = _about(host)["version" if verb == "version" else "info"]
            return Reply(0, _one(asked.template, value).encode())
        rows = _rows(host, verb, asked)
        if verb == "ps" and asked.quiet and not asked.template:
            return Reply(0, "".join(f"{row['ID']}\n" for row in rows).encode())
        return Reply(0, "".join(_one(asked.template, row) for row in rows).encode())
    except _TemplateError as error:
        return failed(64, f"template parsing error: {error}")
    except docker_things.FilterUnknown as error:
        return unsupported(call, f"--filter {error}")


def _read(call: Call) -> _Asked:
    words: list[str] = []
    filters: list[str] = []
    template = ""
    rest = iter(call.args)
    for word in rest:
        if word == "--format" or (word == "-f" and words[:1] != ["ps"]):
            template = next(rest, "")
        elif word.startswith("--format="):
            template = word.partition("=")[2]
        elif word in {"--filter", "-f"}:
            filters.append(next(rest, ""))
        elif word.startswith("--filter="):
            filters.append(word.partition("=")[2])
        elif word in {"--tail", "-n"}:
            next(rest, "")
        elif not word.startswith("-") or not words:
            words.append(word)
    given = set(call.args)
    everything, quiet = given & {"-a", "--all", "-aq"}, given & {"-q", "--quiet", "-aq"}
    return _Asked(words, template, filters, bool(everything), bool(quiet))


def _about_each(host: ShopHost, verb: str, asked: _Asked) -> Reply:
    names = asked.words[2:] if verb == "image inspect" else asked.words[1:]
    replies = [_about_one(host, verb, name, asked.template) for name in names or [""]]
    status = max(reply.status for reply in replies)
    return Reply(
        status, b"".join(reply.out for reply in replies), b"".join(reply.err for reply in replies)
    )


def _about_one(host: ShopHost, verb: str, name: str, template: str) -> Reply:
    value: dict[str, Any] | None
    if verb == "image inspect":
        value = docker_things.image(host, name)
        if value is None:
            return failed(1, f"Error response from daemon: No such image: {name}")
    else:
        container = docker_things.find(host, name)
        if container is None:
            return failed(1, f"Error response from daemon: No such container: {name}")
        if verb == "logs":
            return Reply(0, "".join(f"{line}\n" for line in container.log).encode())
        value = _inspected(host, container)
    try:
        text = _one(template, value) if template else f"{json.dumps([value])}\n"
    except _TemplateError as error:
        return failed(64, f"template parsing error: {error}")
    return Reply(0, text.encode())


def _inspected(host: ShopHost, container: Container) -> dict[str, Any]:
    state: dict[str, Any] = {
        "Status": container.status,
        "Running": container.status == "running",
        "ExitCode": container.exit_code or 0,
        "Error": container.error,
        "StartedAt": docker_things.written_at(container.started_at),
        "FinishedAt": docker_things.written_at(container.finished_at),
    }
    if container.health:
        state["Health"] = {"Status": container.health}
    return {
        "Id": container.id,
        "Name": f"/{container.name}",
        "Image": docker_things.digest(host, container),
        "Config": {"Image": container.image, "Labels": container.labels},
        "State": state,
    }


def _version(host: ShopHost) -> str:
    return str(host.docker.state().get("version", ""))


def _about(host: ShopHost) -> dict[str, Any]:
    state = host.docker.state()
    engine = {
        "Version": state["version"],
        "ApiVersion": "1.44",
        "Os": "linux",
        "Arch": "arm64" if host.spec.machine == "aarch64" else "amd64",
    }
    info = {
        "ServerVersion": state["version"],
        "DefaultRuntime": state["default_runtime"],
        "Runtimes": {name: {"path": name} for name in state["runtimes"]},
        "ContainersRunning": len(state["running"]) + len(host.containers.all(running=True)),
        "DockerRootDir": "/var/lib/docker",
        "OperatingSystem": host.spec.os_release.get("PRETTY_NAME", ""),
        "Architecture": host.spec.machine,
        "NCPU": host.spec.cpus,
        "MemTotal": host.spec.memory_mb * 1024 * 1024,
        "Driver": "overlay2",
        "CgroupVersion": "2",
    }
    return {"version": {"Server": engine, "Client": engine}, "info": info}


def _rows(host: ShopHost, verb: str, asked: _Asked) -> list[dict[str, str]]:
    if verb == "ps":
        return docker_things.containers(host, everything=asked.everything, filters=asked.filters)
    if asked.filters:
        raise docker_things.FilterUnknown(asked.filters[0])
    return docker_things.images(host) if verb == "images" else docker_things.disk(host)


def _one(template: str, value: dict[str, Any]) -> str:
    if not template or template.startswith("table "):
        return " ".join(f"{name}: {value[name]}" for name in value) + "\n"
    if template == "json":
        return json.dumps(value) + "\n"
    return render(template, value) + "\n"


def render(template: str, value: dict[str, Any]) -> str:
    """The few forms of Go's templates that scripts use: fields, ``json``, ``range`` over a map."""
    template = template.replace("\\t", "\t").replace("\\n", "\n")

    def loop(match: re.Match[str]) -> str:
        names, _, expression = match[1].rpartition(":=")
        key, _, item = (part.strip() for part in names.partition(","))
        content = _look_up(expression.strip(), value)
        pairs = content.items() if isinstance(content, dict) else enumerate(content)
        lines = []
        for name, element in pairs:
            scope = {".": element, key or "$key": name, item or "$item": element}
            lines.append(_ACTION.sub(lambda m, s=scope: _text(_look_up(m[1], s)), match[2]))
        return "".join(lines)

    expanded = _RANGE.sub(loop, template)
    return _ACTION.sub(lambda m: _text(_look_up(m[1], value)), expanded)


def _look_up(expression: str, value: dict[str, Any]) -> Any:
    expression = expression.strip()
    if expression.startswith("json "):
        return json.dumps(_look_up(expression.removeprefix("json "), value))
    if (indexed := _INDEX.fullmatch(expression)) is not None:
        within = _look_up(indexed[1], value)
        return within.get(indexed[2], "") if isinstance(within, dict) else ""
    if expression in value:
        return value[expression]
    if expression == ".":
        return value
    found: Any = value
    for name in expression.removeprefix(".").split("."):
        if not expression.startswith(".") or not isinstance(found, dict) or name not in found:
            raise _TemplateError(f"cannot evaluate {expression}")
        found = found[name]
    return found


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
