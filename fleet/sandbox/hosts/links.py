"""The links of hosts: cut, restored, slowed, flapping, by ``STORE`` or ``STORE/HOST``."""

from collections.abc import Callable, Iterable, Sequence
from typing import Generic, TypeVar

from fleet.errors import UsageError
from fleet.sandbox.clock import SandboxClock
from fleet.sandbox.hosts.simulated_host import SimulatedHost
from fleet.sandbox.schedule import Schedule, Timer

AnyHost = TypeVar("AnyHost", bound=SimulatedHost)


class Links(Generic[AnyHost]):
    """Turns the conditions of the hosts' links.

    A flapping link is down in the last part of each period of the sandbox's clock, so that all
    hosts with one period flap together and a sandbox that comes back is in step.

    Args:
        clock: the sandbox's time.
        schedule: where the edges of flapping links are.
        hosts: the hosts there are now.
        changed: told of every host whose link was touched.
    """

    def __init__(
        self,
        clock: SandboxClock,
        schedule: Schedule,
        hosts: Callable[[], Iterable[AnyHost]],
        changed: Callable[[AnyHost], None],
    ) -> None:
        self._clock = clock
        self._schedule = schedule
        self._hosts = hosts
        self._changed = changed
        self._edges: dict[str, Timer] = {}

    def meant(self, target: str) -> list[AnyHost]:
        """Return the hosts of a store, or one host; UsageError when there is none."""
        one = "/" in target
        hosts = [b for b in self._hosts() if (b.id if one else b.spec.store) == target]
        if not hosts:
            raise UsageError(
                f"the sandbox has no {'host' if one else 'store'} {target}",
                hint="fleet sandbox status lists them",
            )
        return hosts

    def cut(self, target: str) -> list[str]:
        """Cut them; returns the hosts meant."""
        return self._set(target, add={_reason(target)})

    def restore(self, target: str) -> list[str]:
        """Undo ``cut`` of the same target, flapping, and what an image did.

        A host stays cut off while its shop is, and the other way round.
        """
        for host in self.meant(target):
            host.set_conditions({"flap": []})
            self.follow(host)
        return self._set(target, remove={_reason(target), "image", "flap"})

    def slow(self, target: str, mbps: float | None) -> list[str]:
        """Let them carry so many Mbit/s at most; None is their own speed again."""
        hosts = self.meant(target)
        for host in hosts:
            host.set_conditions({"slow_to_mbps": mbps})
        return [host.id for host in hosts]

    def flap(self, target: str, every_s: float, down_s: float) -> list[str]:
        """Let them be down for ``down_s`` in every ``every_s``, until ``restore``."""
        hosts = self.meant(target)
        for host in hosts:
            host.set_conditions({"flap": [every_s, down_s]})
            self.follow(host)
        return [host.id for host in hosts]

    def follow(self, host: AnyHost) -> None:
        """Bring a link into step with its ``flap``, now and at each edge from here on."""
        timer = self._edges.pop(host.id, None)
        if timer is not None:
            timer.cancel()
        if not host.conditions.flap:
            self._touch([host], remove={"flap"})
            return
        period, down = host.conditions.flap
        now = self._clock.now()
        at = now % period
        is_down = at >= period - down
        begin = now - at
        edge = begin + period if is_down else begin + period - down
        self._touch([host], **{"add" if is_down else "remove": {"flap"}})
        # A hair later, so that the moment of the edge is on its far side in floating point too.
        self._edges[host.id] = self._schedule.at(edge + 1e-3, lambda: self.follow(host))

    def _set(
        self, target: str, *, add: Iterable[str] = (), remove: Iterable[str] = ()
    ) -> list[str]:
        hosts = self.meant(target)
        self._touch(hosts, add=add, remove=remove)
        return [host.id for host in hosts]

    def _touch(
        self, hosts: Sequence[AnyHost], *, add: Iterable[str] = (), remove: Iterable[str] = ()
    ) -> None:
        for host in hosts:
            reasons = sorted(set(host.conditions.cut_by) - set(remove) | set(add))
            if reasons != sorted(host.conditions.cut_by):
                host.set_conditions({"cut_by": reasons})
                self._changed(host)


def _reason(target: str) -> str:
    return "host" if "/" in target else "store"
