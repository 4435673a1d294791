"""One account and region as a whole: what the rules look at that are about no single store."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from fleet.drift.decide.case import made
from fleet.drift.decide.entries import FindingKind
from fleet.drift.decide.join import Ledgers
from fleet.model.drift import Background, Evidence, Finding, ShardSeen
from fleet.model.drift_settings import Severity
from fleet.model.inventory import Fleet, Host
from fleet.model.observed import NotRead


@dataclass(frozen=True, slots=True)
class ShardCase:
    """An account and region with everything that was read of it.

    Attributes:
        ledgers: indexed.
    """

    fleet: Fleet
    ledgers: Ledgers
    background: Background

    @property
    def shard(self) -> ShardSeen:
        """As it was read."""
        return self.ledgers.shard

    @property
    def place(self) -> str:
        """Its account and region, for people."""
        return f"{self.shard.account}/{self.shard.region}"

    @property
    def is_whole(self) -> bool:
        """Whether the container instances of every store of it were read."""
        here, seen = (self.shard.account, self.shard.region), self.shard.stores
        return all(
            store.id in seen and not isinstance(seen[store.id].instances, NotRead)
            for store in self.fleet.stores
            if (store.account.name, store.region) == here
        )

    def aws(self, words: str) -> str:
        """What to type for an AWS call there."""
        account = self.fleet.accounts.get(self.shard.account)
        profile = f" --profile {account.profile}" if account and account.profile else ""
        return f"aws {words} --region {self.shard.region}{profile}"

    def found(
        self,
        entry: FindingKind,
        cause: str,
        *evidence: Evidence,
        subject: str = "",
        host: Host | None = None,
        fix: str = "",
        since: datetime | None = None,
        severity: Severity | None = None,
        data: Mapping[str, Any] | None = None,
    ) -> Finding:
        """A finding of it, or of the host that it turns out to be about."""
        return made(
            entry,
            cause,
            *evidence,
            background=self.background,
            account=self.shard.account,
            region=self.shard.region,
            store=host.store if host else "",
            host=host.name if host else "",
            subject=subject,
            fix=fix,
            since=since,
            severity=severity,
            data=data,
        )
