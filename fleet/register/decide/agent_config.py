"""Builds the configuration files of a host: the two of the ECS agent and /etc/fleet/store.json.

Both agent files are read twice, with different rules: by systemd as an ``EnvironmentFile`` (quotes
at the start of a value and backslashes anywhere are special) and by Docker as an env-file (nothing
is). A value that the two would read differently is refused.

Sources: ECS developer guide, "Amazon ECS container agent configuration"; systemd.exec(5),
EnvironmentFile; AWS's external install script for which file holds what.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass

from fleet.errors import Problem, UsageError
from fleet.model.identity import declared_attributes, host_tags
from fleet.model.inventory import Fleet, Host, Source, Store

#: Set by fleet unless the hardware says otherwise. Many shops have slow links, so an image that is
#: on the host is not pulled again. Images are pinned by digest, so it cannot be a stale one.
DEFAULT_SETTINGS: Mapping[str, str] = {"ECS_IMAGE_PULL_BEHAVIOR": "prefer-cached"}
#: Settings that identify the host; fleet sets them from the fields of the inventory.
OURS = frozenset(
    {
        "ECS_CLUSTER",
        "ECS_INSTANCE_ATTRIBUTES",
        "ECS_CONTAINER_INSTANCE_TAGS",
        "ECS_EXTERNAL",
        "AWS_DEFAULT_REGION",
    }
)
#: Version of ``store.json``; raised when a field is removed or changes its meaning.
STORE_JSON_VERSION = 1


@dataclass(frozen=True, slots=True)
class AgentConfig:
    """The whole text of the files that fleet writes on a host.

    Attributes:
        ecs: /etc/ecs/ecs.config.
        var_ecs: /var/lib/ecs/ecs.config.
        store: /etc/fleet/store.json.
    """

    ecs: str
    var_ecs: str
    store: str


def agent_config(fleet_name: str, store: Store, host: Host) -> AgentConfig:
    """Return the configuration files of a host.

    Raises:
        UsageError: as for ``ecs_config``.
    """
    attributes, tags = declared_attributes(store, host), host_tags(fleet_name, host)
    return AgentConfig(
        ecs_config(store, host, attributes, tags),
        var_ecs_config(store.region),
        store_json(store, host),
    )


def config_problems(fleet: Fleet) -> tuple[Problem, ...]:
    """Return what cannot be written into the files of the agents, once per kind of hardware.

    Ids, host names, clusters and regions hold no character that either reader treats specially, so
    hosts that agree on everything else share one verdict.
    """
    found: dict[Source, Problem] = {}
    checked: set[tuple[object, ...]] = set()
    for store in fleet.stores:
        for host in store.hosts:
            alike = (host.hardware.name, store.ring, *host.attributes.items())
            if alike in checked:
                continue
            checked.add(alike)
            try:
                agent_config(fleet.name, store, host)
            except UsageError as error:
                source = host.hardware.source
                problem = Problem(source.file, source.line, "", str(error), error.hint)
                found.setdefault(source, problem)
    return tuple(found.values())


def ecs_config(
    store: Store, host: Host, attributes: Mapping[str, str], tags: Mapping[str, str]
) -> str:
    """Return /etc/ecs/ecs.config.

    Its attributes and tags count only when the agent registers for the first time; later they are
    set through the API.

    Raises:
        UsageError: a setting is one of fleet's own or would hold AWS credentials, or a name or
            value cannot be written so that systemd and Docker read the same.
    """
    for name in host.hardware.agent_settings:
        _refuse_ours(host, name)
    settings = {
        "ECS_CLUSTER": store.cluster,
        **({"ECS_INSTANCE_ATTRIBUTES": _compact(attributes)} if attributes else {}),
        **({"ECS_CONTAINER_INSTANCE_TAGS": _compact(tags)} if tags else {}),
        **DEFAULT_SETTINGS,
        **dict(sorted(host.hardware.agent_settings.items())),
    }
    return _lines(host.id, settings)


def var_ecs_config(region: str) -> str:
    """Return /var/lib/ecs/ecs.config, which makes the agent an external one.

    Raises:
        UsageError: as for ``ecs_config``.
    """
    return _lines("region", {"AWS_DEFAULT_REGION": region, "ECS_EXTERNAL": "true"})


def store_json(store: Store, host: Host) -> str:
    """Return /etc/fleet/store.json, which tells a container where it runs.

    It holds no secret: it is world-readable, and tasks mount it read-only. Values that differ
    between stores belong here and not in a task definition, which many stores share.
    """
    document = {
        "version": STORE_JSON_VERSION,
        "store": {
            "id": store.id,
            "name": store.name,
            "account_id": store.account.account_id,
            "region": store.region,
            "cluster": store.cluster,
            "time_zone": store.time_zone,
            "ring": store.ring,
            "labels": dict(sorted(store.labels.items())),
            "link": {"kind": store.link.kind, "metered": store.link.metered},
        },
        "host": {
            "name": host.name,
            "hardware": host.hardware.name,
            "architecture": str(host.hardware.architecture),
            "variant": host.hardware.variant,
            "accelerator": host.hardware.accelerator,
        },
    }
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def _refuse_ours(host: Host, name: str) -> None:
    if name in OURS:
        reason = "fleet sets it from the inventory"
    elif name.startswith("AWS_"):
        reason = "credentials there would win over the agent's own, which rotate"
    else:
        return
    raise UsageError(
        f"{host.id}: hardware {host.hardware.name!r} may not set {name}: {reason}",
        hint=f"remove it from agent_settings at {host.hardware.source}",
    )


def _compact(mapping: Mapping[str, str]) -> str:
    ordered = dict(sorted(mapping.items()))
    return json.dumps(ordered, separators=(",", ":"), ensure_ascii=False)


def _lines(whose: str, settings: Mapping[str, str]) -> str:
    return "".join(
        f"{_name(whose, name)}={_value(whose, name, settings[name])}\n" for name in settings
    )


def _name(whose: str, name: str) -> str:
    if not re.fullmatch(r"[A-Z][A-Z0-9_]*", name):
        raise UsageError(
            f"{whose}: {name!r} is not an agent setting",
            hint="names are capitals, digits and underscores, as ECS_RESERVED_MEMORY",
        )
    return name


def _value(whose: str, name: str, value: str) -> str:
    special = "\\" in value or value[:1] in {"'", '"'}
    if special or value != value.strip() or not value.isprintable():
        raise UsageError(
            f"{whose}: the value of {name} cannot be written to ecs.config: {value!r}",
            hint="leave out line breaks and control characters, backslashes, double quotes inside "
            "attributes and tags, and spaces or quotes at the ends",
        )
    return value
