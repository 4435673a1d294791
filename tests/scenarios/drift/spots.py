"""Where something is made wrong: one half of a shop, its camera box or its telemetry box."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.sandbox.bare_fleet import BareHost
from tests.scenarios.chains import reference
from tests.scenarios.drift.town import WORKLOADS, Town, store_id

#: Half of a shop -> its box, and a service that runs on it.
HALVES = {"cam": ("cam-1", "vision"), "tel": ("tel-1", "telemetry")}


@dataclass(frozen=True, slots=True)
class Expected:
    """A finding as a person would name it.

    Attributes:
        store: "" for one of an account and region, or of the whole fleet.
        host: "" for one of the store.
    """

    code: str
    store: str = ""
    host: str = ""


@dataclass(frozen=True, slots=True)
class Spot:
    """Half a shop of a town."""

    town: Town
    number: int
    half: str = "cam"

    @property
    def store(self) -> str:
        return store_id(self.number)

    @property
    def name(self) -> str:
        """Of the box in its store."""
        return HALVES[self.half][0]

    @property
    def box(self) -> BareHost:
        return self.town.host(self.name, self.number)

    @property
    def workload(self) -> str:
        return HALVES[self.half][1]

    @property
    def service(self) -> str:
        return self.town.service(self.workload)

    @property
    def image(self) -> str:
        """What the service's containers are of."""
        return reference(self.workload, "1")

    @property
    def workloads(self) -> list[str]:
        """All that run on the box."""
        return [name for name, (kind, _memory) in WORKLOADS.items() if kind == self.half]

    @property
    def instance(self) -> str:
        return self.town.instance(self.name, self.number)

    @property
    def node(self) -> str:
        return self.town.node(self.name, self.number)

    @property
    def tags(self) -> dict[str, str]:
        return self.town.tags(self.name, self.number)

    def ecs(self, action: str, /, **body: Any) -> dict[str, Any]:
        """In the store's cluster."""
        return self.town.ecs(action, self.number, cluster=self.store, **body)

    def arn(self, action: str, **body: Any) -> dict[str, Any]:
        """A call that names no cluster."""
        return self.town.ecs(action, self.number, **body)

    def ssm(self, action: str, /, **body: Any) -> dict[str, Any]:
        return self.town.ssm(action, self.number, **body)

    def described(self) -> dict[str, Any]:
        """The service as AWS shows it."""
        (found,) = self.ecs("DescribeServices", services=[self.service], include=["TAGS"])[
            "services"
        ]
        return dict(found)

    def task(self) -> str:
        return self.town.tasks(self.workload, self.number)[0]

    def update(self, **body: Any) -> None:
        self.ecs("UpdateService", service=self.service, **body)

    def delete(self, workload: str = "") -> None:
        """Delete a service, and let its tasks stop."""
        name = self.town.service(workload) if workload else self.service
        self.ecs("DeleteService", service=name, force=True)

    def define(self, image: str, *, family: str = "by-hand") -> str:
        """A revision of nobody's making but a person's."""
        made = self.arn(
            "RegisterTaskDefinition",
            family=family,
            requiresCompatibilities=["EXTERNAL"],
            networkMode="bridge",
            containerDefinitions=[{"name": "app", "image": image, "memory": 64}],
        )
        return str(made["taskDefinition"]["taskDefinitionArn"])

    def again(self) -> str:
        """The service's revision once more, under a number of its own."""
        answer = self.arn(
            "DescribeTaskDefinition",
            taskDefinition=self.described()["taskDefinition"],
            include=["TAGS"],
        )
        body = answer["taskDefinition"]
        keys = ("family", "networkMode", "requiresCompatibilities", "containerDefinitions")
        made = self.arn(
            "RegisterTaskDefinition", **{key: body[key] for key in keys}, tags=answer["tags"]
        )
        return str(made["taskDefinition"]["taskDefinitionArn"])

    def behave(self, **behaviour: Any) -> None:
        """Let the service's image be bad on this box."""
        self.box.catalogue.tell({self.image: behaviour})

    def pass_by(self, seconds: float) -> None:
        self.town.clock.advance(seconds)

    def expect(self, *codes: str) -> list[Expected]:
        """Findings of the store."""
        return [Expected(code, self.store) for code in codes]

    def expect_here(self, *codes: str) -> list[Expected]:
        """Findings of the box."""
        return [Expected(code, self.store, self.name) for code in codes]


Make = Callable[[Spot], list[Expected]]
