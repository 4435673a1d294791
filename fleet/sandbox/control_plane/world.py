"""The whole simulated AWS: its accounts, who holds which key, and what changed in this call."""

import hashlib
from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path

from fleet.errors import SandboxError
from fleet.sandbox.agents.session import AwsFault
from fleet.sandbox.clock import SandboxClock
from fleet.sandbox.control_plane.arns import is_region
from fleet.sandbox.control_plane.assumptions import STOPPED_TASKS_SEEN_S
from fleet.sandbox.control_plane.channels import Channels
from fleet.sandbox.control_plane.database import Database
from fleet.sandbox.control_plane.region_state import (
    ContainerInstance,
    Entity,
    RegionState,
    RoleSession,
)
from fleet.sandbox.control_plane.work_queue import WorkQueue
from fleet.sandbox.control_plane.workloads import Task
from fleet.sandbox.spec import AccountSpec

_ACCOUNT_DIGITS = 12
# The kept time runs ahead of the clock by this much real time, so that it need not be written on
# every call.
_REACH_S = 2.0


class World:
    """Every state and every credential, loaded from the database and written through to it.

    Not thread-safe: the engine holds its lock around every use.
    """

    def __init__(
        self,
        clock: SandboxClock,
        accounts: Sequence[AccountSpec],
        database: Path | None,
        seed: int,
    ) -> None:
        self.clock = clock
        self.accounts = {spec.account_id: spec for spec in accounts}
        for account in self.accounts:
            if len(account) != _ACCOUNT_DIGITS or not account.isdecimal():
                raise SandboxError(
                    f"{account!r} is no AWS account id",
                    hint="account ids are twelve digits; quote them where they begin with a zero",
                )
        self.sessions: dict[str, RoleSession] = {}
        self._keys_of: dict[str, set[str]] = {}
        self.channels = Channels()
        self.work = WorkQueue()
        self._stopped: deque[Task] = deque()
        self._region_states: dict[tuple[str, str], RegionState] = {}
        self._seed = seed
        self._drawn = 0
        self._reached = 0.0
        self._changes: dict[tuple[str, str, str, str], tuple[Entity, bool]] = {}
        self._keeping = Database(database) if database else None
        if self._keeping is not None:
            meta = self._keeping.meta()
            self._seed = int(meta.get("seed", seed))
            self._drawn = int(meta.get("drawn", 0))
            for entity in self._keeping.load():
                self._hold(entity)
            stopped = [
                task
                for state in self._region_states.values()
                for tasks in state.tasks_of.values()
                for task in tasks.values()
                if task.last_status == "STOPPED"
            ]
            self._stopped.extend(sorted(stopped, key=lambda task: task.times["stoppedAt"]))

    def region_state(self, account: str, region: str) -> RegionState:
        """The state of an account and region; made when it is first spoken of."""
        found = self._region_states.get((account, region))
        if found is None:
            if not is_region(region):
                raise AwsFault("InvalidParameterException", f"{region!r} is not an AWS region")
            found = self._region_states[account, region] = RegionState(account, region)
        return found

    def region_states(self) -> Iterator[RegionState]:
        """Every state that was spoken of."""
        return iter(tuple(self._region_states.values()))

    def save(self, entity: Entity) -> None:
        """Take in a new or changed entity; it is on disk before the call is answered."""
        self._hold(entity)
        self._note(entity, kept=True)

    def forget(self, entity: Entity) -> None:
        """Remove an entity for good."""
        if isinstance(entity, RoleSession):
            self.sessions.pop(entity.access_key, None)
            self._keys_of.get(entity.managed_instance_id, set()).discard(entity.access_key)
        else:
            self.region_state(entity.account, entity.region).drop(entity)
        self._note(entity, kept=False)

    def forget_expired(self, managed_instance_id: str) -> None:
        """Remove a node's credentials that have run out; "" means those of people."""
        now = self.clock.now()
        for key in tuple(self._keys_of.get(managed_instance_id, ())):
            if self.sessions[key].expires_at <= now:
                self.forget(self.sessions[key])

    def remember_stopped(self, task: Task) -> None:
        """A task has stopped: it is shown for an hour from now."""
        self._stopped.append(task)

    def forget_stopped(self) -> None:
        """Remove the tasks whose hour is over."""
        limit = self.clock.now() - STOPPED_TASKS_SEEN_S
        while self._stopped and self._stopped[0].times["stoppedAt"] <= limit:
            self.forget(self._stopped.popleft())

    def commit(self) -> None:
        """Write what changed. What could not be written stays to be written with the next call."""
        if not self._changes or self._keeping is None:
            self._changes.clear()
            return
        meta = {"seed": str(self._seed), "drawn": str(self._drawn)}
        self._keeping.write(self._changes, meta)
        self._changes.clear()

    def keep_time(self) -> float:
        """The time now, after making sure that a restart will not begin before it."""
        now = self.clock.now()
        if self._keeping is not None and now > self._reached:
            self._reached = now + self.clock.rate * _REACH_S
            self._keeping.write({}, {"reached": repr(self._reached)})
        return now

    def instance(self, arn: str) -> tuple[RegionState, ContainerInstance] | None:
        """The container instance of an ARN, and where it is."""
        account, region = arn.split(":")[4], arn.split(":")[3]
        state = self.region_state(account, region)
        found = state.instances.get(arn.rpartition("/")[2])
        return None if found is None else (state, found)

    def hex_id(self, digits: int) -> str:
        """A fresh id that the seed determines; the count is kept, so none comes twice."""
        self._drawn += 1
        text = f"{self._seed}:{self._drawn}"
        return hashlib.sha256(text.encode()).hexdigest()[:digits]

    def close(self) -> None:
        """Write what is left and close the database."""
        if self._keeping is not None:
            self.commit()
            now = self.clock.now()
            self._keeping.write({}, {"reached": repr(now)})
            self._keeping.close()
            self._keeping = None

    def _hold(self, entity: Entity) -> None:
        if isinstance(entity, RoleSession):
            self.sessions[entity.access_key] = entity
            self._keys_of.setdefault(entity.managed_instance_id, set()).add(entity.access_key)
        else:
            self.region_state(entity.account, entity.region).hold(entity)

    def _note(self, entity: Entity, *, kept: bool) -> None:
        key = (entity.KIND, entity.account, entity.region, entity.key)
        self._changes[key] = (entity, kept)
