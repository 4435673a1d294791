"""A shop in a stepped world: the real control plane, one or more hosts, no SSH."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fleet.sandbox.clock import SandboxClock
from fleet.sandbox.control_plane.engine import ControlPlane
from fleet.sandbox.control_plane.in_process import InProcessSession
from fleet.sandbox.hosts.shop_host import ShopHost
from fleet.sandbox.schedule import Schedule
from fleet.sandbox.spec import AccountSpec, HostSpec

ACCOUNT = "111122223333"
REGION = "eu-west-1"
UBUNTU = {
    "ID": "ubuntu",
    "NAME": "Ubuntu",
    "VERSION_ID": "22.04",
    "PRETTY_NAME": "Ubuntu 22.04.4 LTS",
    "VERSION_CODENAME": "jammy",
}
DOCKER: dict[str, Any] = {
    "version": "24.0.7",
    "default_runtime": "nvidia",
    "runtimes": ["runc", "nvidia"],
    "running": ["cam-legacy"],
    "unused_image_mb": 6400,
}


def host_spec(name: str = "tel-1", store: str = "store-042", **changes: Any) -> HostSpec:
    settings: dict[str, Any] = {
        "address": f"{name}.{store}.shops.example",
        "user": "fleet",
        "account_id": ACCOUNT,
        "region": REGION,
        "machine": "x86_64",
        "os_release": UBUNTU,
        "docker": DOCKER,
    }
    return HostSpec(store=store, name=name, **{**settings, **changes})


@dataclass
class Shop:
    folder: Path
    toolbox: Path
    rate: float = 0.0
    clock: SandboxClock = field(init=False)
    schedule: Schedule = field(init=False)
    plane: ControlPlane = field(init=False)

    def __post_init__(self) -> None:
        self.clock = SandboxClock(self.rate, 1_800_000_000.0)
        self.schedule = Schedule(self.clock)
        self.plane = ControlPlane(self.clock, [AccountSpec(ACCOUNT, "emea-prod")], throttling=False)
        self.plane.run_on(self.schedule)

    def host(self, name: str = "tel-1", **changes: Any) -> ShopHost:
        spec = host_spec(name, **changes)
        host = ShopHost(
            spec,
            self.folder / "hosts" / spec.store / spec.name,
            toolbox=self.toolbox,
            clock=self.clock,
            schedule=self.schedule,
            session_for=lambda region: InProcessSession(self.plane, region),
        )
        host.provision()
        return host

    def call(self, service: str, action: str, **body: Any) -> dict[str, Any]:
        return self.plane.call(service, action, body, account=ACCOUNT, region=REGION)

    def cluster(self, name: str = "store-042") -> None:
        self.call("ecs", "CreateCluster", clusterName=name)

    def activation(self, **body: Any) -> tuple[str, str]:
        made = self.call("ssm", "CreateActivation", IamRole="ecsAnywhereRole", **body)
        return made["ActivationId"], made["ActivationCode"]

    def instances(self, cluster: str = "store-042") -> list[dict[str, Any]]:
        arns = self.call("ecs", "ListContainerInstances", cluster=cluster)["containerInstanceArns"]
        if not arns:
            return []
        found: list[dict[str, Any]] = self.call(
            "ecs",
            "DescribeContainerInstances",
            cluster=cluster,
            containerInstances=arns,
            include=["TAGS"],
        )["containerInstances"]
        return found

    def nodes(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.call("ssm", "DescribeInstanceInformation")[
            "InstanceInformationList"
        ]
        return found

    def configure(self, host: ShopHost, *lines: str, cluster: str = "store-042") -> None:
        """Both files, as fleet writes them."""
        host.path("/etc/ecs").mkdir(parents=True, exist_ok=True)
        text = "\n".join([f"ECS_CLUSTER={cluster}", *lines])
        host.path("/etc/ecs/ecs.config").write_text(f"{text}\n")
        host.path("/var/lib/ecs").mkdir(parents=True, exist_ok=True)
        host.path("/var/lib/ecs/ecs.config").write_text(
            f"AWS_DEFAULT_REGION={REGION}\nECS_EXTERNAL=true\n"
        )
