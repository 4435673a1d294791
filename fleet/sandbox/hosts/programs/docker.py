"""The command ``docker``: information about the engine and its containers."""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from fleet.sandbox.agents.containers import Container
from fleet.sandbox.hosts.programs.call import ProgramCall, ProgramReply, failed, unsupported
from fleet.sandbox.hosts.programs.curl import METADATA
from fleet.sandbox.hosts.shop_host import ShopHost

Row = dict[str, str]

_DOWN = (
    "Cannot connect to the Docker daemon at unix:///var/run/docker.sock. "
    "Is the docker daemon running?"
)
_DENIED = "permission denied while trying to connect to the Docker daemon socket"
_INDEX = re.compile(r'index (\S+) "([^"]*)"')
_ACTION = re.compile(r"{{\s*(.*?)\s*}}")
_RANGE = re.compile(r"{{\s*range\s+(.*?)\s*}}(.*?){{\s*end\s*}}", re.DOTALL)
_OF_TWO_WORDS = {"system", "image"}
_TAILS = {"--tail", "-n"}
#: Of events only the ends of containers are modelled, so that these make no difference.
_OF_EVENTS = {"--since", "--until", "--filter"}
_OPTIONS = {"-a", "--all", "-q", "--quiet", "-aq", "--no-trunc"}


class _TemplateError(Exception):
    pass


@dataclass(frozen=True, slots=True)
class _Asked:
    """What a command line asks for."""

    verb: str
    names: list[str]
    template: str
    options: set[str]


def docker(host: ShopHost, call: ProgramCall) -> ProgramReply:
    """Run ``info``, ``ps``, ``system df``, ``inspect``, ``image inspect``, ``logs``, ``events``."""
    asked = _read(call)
    if isinstance(asked, ProgramReply):
        return asked
    if asked.verb in {"--version", "-v"}:
        return ProgramReply(0, f"Docker version {_version(host)}, build 0000000\n".encode())
    run = _VERBS.get(asked.verb)
    if run is None:
        return unsupported(call, asked.verb or "no command")
    if not host.docker_active():
        return failed(1, _DOWN)
    if not call.root:
        return failed(1, _DENIED)
    try:
        return run(host, asked)
    except _TemplateError as error:
        return failed(64, f"template parsing error: {error}")


def _read(call: ProgramCall) -> _Asked | ProgramReply:
    words: list[str] = []
    template = ""
    options: set[str] = set()
    rest = iter(call.args)
    for word in rest:
        if word == "--format" or (word == "-f" and "inspect" in words):
            template = next(rest, "")
        elif word.startswith("--format="):
            template = word.partition("=")[2]
        elif word in _TAILS or (words == ["events"] and word in _OF_EVENTS):
            next(rest, "")
        elif not words or not word.startswith("-"):
            words.append(word)
        elif word in _OPTIONS:
            options.add(word)
        else:
            return unsupported(call, word)
    count = 2 if words and words[0] in _OF_TWO_WORDS else 1
    return _Asked(" ".join(words[:count]), words[count:], template, options)


def _info(host: ShopHost, asked: _Asked) -> ProgramReply:
    state = host.docker.state()
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
    return ProgramReply(0, _one(asked.template, info).encode())


def _ps(host: ShopHost, asked: _Asked) -> ProgramReply:
    """List the engine's own containers and those of ECS, newest first."""
    others = [*host.docker.state()["running"]]
    if host.ecs_agent.metadata():
        others.append("ecs-agent")
    rows = [_row(host, container) for container in reversed(host.containers.all())]
    rows += [
        {
            "Names": name,
            "ID": f"{number:012x}",
            "Image": name,
            "State": "running",
            "Status": "Up",
            "Labels": "",
        }
        for number, name in enumerate(others)
    ]
    if not asked.options & {"-a", "--all", "-aq"}:
        rows = [row for row in rows if row["State"] == "running"]
    if asked.options & {"-q", "--quiet", "-aq"} and not asked.template:
        return ProgramReply(0, "".join(f"{row['ID']}\n" for row in rows).encode())
    return ProgramReply(0, "".join(_one(asked.template, row) for row in rows).encode())


def _system_df(host: ShopHost, asked: _Asked) -> ProgramReply:
    cached, made = host.containers.images.all(), host.containers.all()
    used = {container.image for container in made}
    unused = int(host.docker.state().get("unused_image_mb", 0))
    free = unused + sum(image.size_mb for name, image in cached.items() if name not in used)
    total = unused + host.containers.images.size_mb()
    share = f" ({100 * free / total:.0f}%)" if free else ""
    running = len(host.containers.all(running=True))
    empty = {"TotalCount": "0", "Active": "0", "Size": "0B", "Reclaimable": "0B"}
    rows = [
        {
            "Type": "Images",
            "TotalCount": str(len(cached) + bool(unused)),
            "Active": str(len(used)),
            "Size": _size(total),
            "Reclaimable": f"{_size(free)}{share}",
        },
        {**empty, "Type": "Containers", "TotalCount": str(len(made)), "Active": str(running)},
        {**empty, "Type": "Local Volumes"},
        {**empty, "Type": "Build Cache"},
    ]
    return ProgramReply(0, "".join(_one(asked.template, row) for row in rows).encode())


def _inspect(host: ShopHost, asked: _Asked) -> ProgramReply:
    return _each(asked, "container", lambda name: _inspected(host, name))


def _image_inspect(host: ShopHost, asked: _Asked) -> ProgramReply:
    return _each(asked, "image", lambda name: _image(host, name))


def _logs(host: ShopHost, asked: _Asked) -> ProgramReply:
    container = _find(host, "".join(asked.names[:1]))
    if container is None:
        return failed(1, f"Error response from daemon: No such container: {asked.names}")
    return ProgramReply(0, "".join(f"{line}\n" for line in container.log).encode())


def _events(host: ShopHost, asked: _Asked) -> ProgramReply:
    """Tell the ends of containers that are still in memory, and no other event."""
    told = (
        {
            "Type": "container",
            "Action": "die",
            "Actor": {"Attributes": {"name": one.name, "exitCode": str(one.exit_code or 0)}},
            "time": int(one.at),
        }
        for one in host.containers.died()
    )
    return ProgramReply(0, "".join(_one(asked.template, one) for one in told).encode())


def _each(asked: _Asked, kind: str, find: Callable[[str], dict[str, Any] | None]) -> ProgramReply:
    out, err = "", ""
    for name in asked.names or [""]:
        value = find(name)
        if value is None:
            err += f"Error response from daemon: No such {kind}: {name}\n"
        else:
            out += _one(asked.template, value) if asked.template else f"{json.dumps([value])}\n"
    return ProgramReply(1 if err else 0, out.encode(), err.encode())


def _find(host: ShopHost, wanted: str) -> Container | None:
    """Return a container by name, or by the beginning of its id."""
    for container in host.containers.all():
        if container.name == wanted or (wanted and container.id.startswith(wanted)):
            return container
    return None


def _inspected(host: ShopHost, name: str) -> dict[str, Any] | None:
    container = _find(host, name)
    if container is None:
        return None
    state: dict[str, Any] = {
        "Status": container.status,
        "Running": container.status == "running",
        "ExitCode": container.exit_code or 0,
        "Error": container.error,
        "StartedAt": _written_at(container.started_at),
        "FinishedAt": _written_at(container.finished_at),
    }
    if container.health:
        state["Health"] = {"Status": container.health}
    cached = host.containers.images.cached(container.image)
    return {
        "Id": container.id,
        "Name": f"/{container.name}",
        "Image": cached.digest if cached is not None else "",
        "Created": _written_at(container.created_at),
        # Docker counts what its own restart policy does; the ECS agent starts it by itself.
        "RestartCount": 0,
        "Config": {
            "Image": container.image,
            "Labels": container.labels,
            "Env": [f"ECS_CONTAINER_METADATA_URI_V4={METADATA}{container.id}"],
        },
        "State": state,
    }


def _image(host: ShopHost, wanted: str) -> dict[str, Any] | None:
    """Return an image by reference or by id; the sandbox takes an image's digest for its id."""
    for reference, cached in host.containers.images.all().items():
        if wanted in {reference, cached.digest}:
            name = reference.partition("@")[0]
            head, colon, tag = name.rpartition(":")
            repository = head if colon and "/" not in tag else name
            digests = [f"{repository}@{cached.digest}"] if cached.digest else []
            return {"Id": cached.digest, "RepoTags": [name], "RepoDigests": digests}
    return None


_VERBS: dict[str, Callable[[ShopHost, _Asked], ProgramReply]] = {
    "info": _info,
    "system info": _info,
    "ps": _ps,
    "system df": _system_df,
    "inspect": _inspect,
    "image inspect": _image_inspect,
    "logs": _logs,
    "events": _events,
}


def _version(host: ShopHost) -> str:
    return str(host.docker.state().get("version", ""))


def _row(host: ShopHost, container: Container) -> Row:
    if container.status == "running":
        health = f" ({container.health})" if container.health else ""
        status = f"Up {_age(host, container.started_at)}{health}"
    elif container.status == "exited":
        code = "" if container.exit_code is None else container.exit_code
        status = f"Exited ({code}) {_age(host, container.finished_at)} ago"
    else:
        status = "Created"
    return {
        "Names": container.name,
        "ID": container.id[:12],
        "Image": container.image,
        "State": container.status,
        "Status": status,
        "Labels": ",".join(f"{key}={value}" for key, value in container.labels.items()),
    }


def _age(host: ShopHost, since: float | None) -> str:
    return f"{max(0.0, host.clock.now() - (since or 0.0)):.0f} seconds"


def _size(megabytes: float) -> str:
    return f"{megabytes:.0f}MB" if megabytes else "0B"


def _written_at(moment: float | None) -> str:
    if moment is None:
        return "0001-01-01T00:00:00Z"
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _one(template: str, value: Mapping[str, Any]) -> str:
    if not template or template.startswith("table "):
        return " ".join(f"{name}: {value[name]}" for name in value) + "\n"
    if template == "json":
        return json.dumps(value) + "\n"
    return render(template, value) + "\n"


def render(template: str, value: Mapping[str, Any]) -> str:
    """Fill in a template of Go, of the forms that scripts use: fields, ``json``, ``range``."""
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


def _look_up(expression: str, value: Mapping[str, Any]) -> Any:
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
