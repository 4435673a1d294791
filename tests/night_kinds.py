"""What goes wrong in the made-up fleets of ``tests.nights``."""

from dataclasses import dataclass

from fleet.model.drift_settings import Severity


@dataclass(frozen=True, slots=True)
class Kind:
    """A finding before it is anyone's; texts are formats of store, host, n, count and others."""

    code: str
    severity: Severity
    per_host: bool
    cause: str
    evidence: tuple[tuple[str, str], ...]
    fix: str
    safe: bool = False
    subject: str = ""


HOST_DARK = Kind(
    "HOST_DARK",
    Severity.MEDIUM,
    True,
    "Neither agent of {host} answers, while another host of the store does: the box itself or its "
    "power is the likely cause.",
    (("SSM", "PingStatus ConnectionLost"), ("ECS", "agentConnected false")),
    "fleet doctor {store} --host {host}",
)

SITE_DARK = Kind(
    "SITE_DARK",
    Severity.HIGH,
    False,
    "All {count} hosts of the store are away, {others} other stores on its carrier are fine: "
    "router or power of the shop.",
    (("SSM", "PingStatus ConnectionLost"), ("ECS", "agentConnected false")),
    "fleet explain {store}",
)

KINDS = (
    Kind(
        "DISK_LOW",
        Severity.HIGH,
        True,
        "/ has {n} MB free, 2048 MB is the floor.",
        (("host", "df / {n} MB free"), ("inventory", "disk_free_mb 2048")),
        "fleet doctor {store} --host {host}",
    ),
    Kind(
        "TWIN",
        Severity.MEDIUM,
        True,
        "Two container instances carry the same managed instance mi-0c9e4f1ab2d3{n:05d}; the new "
        "one is connected.",
        (("ECS", "2 instances, 1 connected"), ("SSM", "one node, Online")),
        "fleet drift --fix {store}",
        safe=True,
    ),
    Kind(
        "ECS_AGENT_DOWN",
        Severity.HIGH,
        True,
        "SSM reaches {host}, but its ECS agent has been away for {n} minutes: tasks run on, "
        "changes do not arrive.",
        (("ECS", "agentConnected false"), ("SSM", "PingStatus Online")),
        "fleet register {store} --host {host}",
        safe=True,
    ),
    Kind(
        "ATTRIBUTES",
        Severity.LOW,
        True,
        'Attribute "ring" is "wave-{n}", the inventory says "wave-1".',
        (("ECS", "attribute ring=wave-{n}"), ("inventory", "ring: wave-1")),
        "fleet drift --fix {store}",
        safe=True,
    ),
    Kind(
        "RELEASE_OWED",
        Severity.LOW,
        False,
        "The store owes vision 1.9.0 since rollout ro-118 parked it while it was dark.",
        (("records", "ro-118 parked"), ("ECS", "vision-arm64:{n}")),
        "fleet rollout resume ro-118",
        subject="vision-arm64",
    ),
    Kind(
        "CHANGED_BY_HAND",
        Severity.MEDIUM,
        False,
        "Service telemetry-amd64 runs revision {n}, which no rollout of fleet has sent.",
        (("ECS", "telemetry-amd64:{n}, no fleet:rollout tag"), ("records", "last sent :12")),
        "fleet rollout telemetry --where store={store}",
        subject="telemetry-amd64",
    ),
    Kind(
        "ECS_AGENT_OLD",
        Severity.LOW,
        True,
        "ECS agent 1.9{n:.1}.0 is older than 1.100.0.",
        (("ECS", "agentVersion 1.9{n:.1}.0"), ("inventory", "min_versions.ecs_agent 1.100.0")),
        "fleet explain ECS_AGENT_OLD",
    ),
    Kind(
        "UNSTEADY",
        Severity.LOW,
        True,
        "{host} lost its connection {n:.1} times in 7 days; it is connected now.",
        (("records", "{n:.1} outages since Monday"),),
        "fleet history {store}",
    ),
    Kind(
        "SERVICE_UNMANAGED",
        Severity.INFO,
        False,
        "Service debug-{n} is in the cluster, and nothing in the inventory wants it.",
        (("ECS", "service debug-{n}, desired 1"),),
        "",
        subject="debug",
    ),
)


class Number(int):
    """``{n:.1}`` is its first digit, which makes a small number of a large one."""

    def __format__(self, spec: str) -> str:
        return str(self)[0] if spec == ".1" else super().__format__(spec)
