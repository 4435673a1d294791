"""One store with its hosts, joined over the ledgers on the ``mi-`` id: what every rule looks at."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from fleet.drift.decide.entries import FindingKind
from fleet.model.drift import (
    Background,
    Connection,
    Evidence,
    Finding,
    HostMemory,
    ShardSeen,
    Spell,
    StoreSeen,
)
from fleet.model.drift_settings import Severity
from fleet.model.inventory import Host, Store
from fleet.model.observed import ContainerInstance, ManagedInstance
from fleet.model.wanted import Wanted


@dataclass(frozen=True, slots=True)
class HostCase:
    """One host of the inventory and what the ledgers say of it.

    Attributes:
        nodes: SSM's nodes that are this host's by name, the current one first.
        instances: container instances that are this host's, the best one first.
        connection: how it is connected where that is certain; None where it is not.
    """

    host: Host
    nodes: tuple[ManagedInstance, ...]
    instances: tuple[ContainerInstance, ...]
    connection: Spell | None
    memory: HostMemory

    @property
    def node(self) -> ManagedInstance | None:
        """The current node."""
        return self.nodes[0] if self.nodes else None

    @property
    def instance(self) -> ContainerInstance | None:
        """The best container instance."""
        return self.instances[0] if self.instances else None

    @property
    def is_dark(self) -> bool:
        """Whether it is dark for certain."""
        return self.connection is not None and self.connection.connection is Connection.DARK


@dataclass(frozen=True, slots=True)
class StoreCase:
    """One store as the rules look at it.

    Attributes:
        hosts: by name, in name order.
    """

    wanted: Wanted
    seen: StoreSeen
    shard: ShardSeen
    background: Background
    hosts: Mapping[str, HostCase]

    @property
    def store(self) -> Store:
        """The store of the inventory."""
        return self.wanted.store

    def found(
        self,
        entry: FindingKind,
        cause: str,
        *evidence: Evidence,
        host: str = "",
        subject: str = "",
        fix: str = "",
        since: datetime | None = None,
        severity: Severity | None = None,
        data: Mapping[str, Any] | None = None,
    ) -> Finding:
        """A finding of this store.

        Args:
            since: when it began, where the ledgers or the records say so; without it, since it was
                first found, and "at least".
            severity: where it is not the catalogue's.
        """
        return made(
            entry,
            cause,
            *evidence,
            background=self.background,
            account=self.shard.account,
            region=self.shard.region,
            store=self.store.id,
            host=host,
            subject=subject,
            fix=fix,
            since=since,
            severity=severity,
            data=data,
        )


def made(
    entry: FindingKind,
    cause: str,
    *evidence: Evidence,
    background: Background,
    account: str = "",
    region: str = "",
    store: str = "",
    host: str = "",
    subject: str = "",
    fix: str = "",
    since: datetime | None = None,
    severity: Severity | None = None,
    data: Mapping[str, Any] | None = None,
) -> Finding:
    """A finding; what is not said comes from the catalogue and from the scans before."""
    key = (entry.code, account, region, store, host, subject)
    known = background.first_seen.get(key)
    return Finding(
        code=entry.code,
        severity=severity or entry.severity,
        store=store,
        host=host,
        subject=subject,
        account=account,
        region=region,
        since=since or known or background.now,
        since_known=since is not None,
        cause=cause,
        evidence=evidence,
        fix=fix,
        safe=entry.safe,
        data=data or {},
    )
