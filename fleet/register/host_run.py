"""One host of a register run: what its steps share, and how they speak of it."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from fleet.aws.session import Shard
from fleet.model.onboarding import (
    HostPlan,
    StorePlan,
)
from fleet.model.progress import HostEvent, HostLine, HostResult, Outcome, Phase
from fleet.model.register_command import Again
from fleet.model.secret import Secret
from fleet.register.tally import Tally
from fleet.runtime.wiring import Wiring


@dataclass(frozen=True, slots=True)
class Script:
    """The install script and the checksum it is pinned by."""

    content: bytes

    @property
    def sha256(self) -> str:
        """Hex digest of the content."""
        return hashlib.sha256(self.content).hexdigest()


@dataclass(slots=True)
class HostRun:
    """One host in a run: what it was planned to become, and what it has become so far."""

    wiring: Wiring
    shard: Shard
    caller_arn: str
    run_id: str
    store_plan: StorePlan
    plan: HostPlan
    script: Script | None
    tally: Tally
    look_again: Callable[[], HostPlan]
    set_runtime: bool
    began: datetime = field(init=False)
    activation_id: str = ""
    code: Secret | None = None
    vault_id: str = ""

    def __post_init__(self) -> None:
        self.began = self.wiring.clock.now()

    @property
    def again(self) -> str:
        """The command that works on this host alone."""
        host = self.plan.host
        return Again(frozenset({host.id}), self.set_runtime).command([host.store])

    @property
    def stopping(self) -> bool:
        """Whether a person asked the run to stop."""
        return self.wiring.stop.is_set()

    def tell(self, phase: Phase, text: str = "") -> None:
        """Say where this host is."""
        self.wiring.listen(HostEvent(self.wiring.clock.now(), self.plan.host.id, phase, text))

    def tell_line(self, line: str) -> None:
        """Pass on a line for the host's log."""
        self.wiring.listen(HostLine(self.wiring.clock.now(), self.plan.host.id, line))

    def audit(self, action: str, why: str, **detail: str) -> None:
        """Write down a change that was made."""
        self.wiring.records.audit(
            self.run_id,
            at=self.wiring.clock.now(),
            caller_arn=self.caller_arn,
            action=action,
            store=self.plan.host.store,
            host=self.plan.host.name,
            why=why,
            detail=detail,
        )

    def result(self, outcome: Outcome, reason: str, fix: str = "", arn: str = "") -> HostResult:
        """End with this; tells it too."""
        seconds = (self.wiring.clock.now() - self.began).total_seconds()
        self.tell(Phase.DONE, f"{outcome}: {reason}")
        return HostResult(self.plan, outcome, reason, fix, seconds, self.vault_id, arn)
