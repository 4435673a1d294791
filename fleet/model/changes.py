"""A change: one service of one store in one rollout, and what is known of it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from fleet.model.darkness import Survey
from fleet.model.restarts import Restarts
from fleet.model.verdicts import Stage, Standing, Verdict

#: Wave number of stores that were dark at their turn and have come back.
CONVOY = -1


@dataclass(frozen=True, slots=True)
class HostContact:
    """One host of a change at the last look at its container instance.

    Attributes:
        connected: whether its instance was ACTIVE and its agent connected.
        away_since: first look at which it was away without having been back; None while it is here.
        tried_s: seconds that it has been connected since the change was sent, absences left out.
    """

    connected: bool
    away_since: datetime | None = None
    tried_s: float = 0.0


@dataclass(frozen=True, slots=True)
class TaskSummary:
    """One task of what was sent, for people and JSON; rules read only when it started.

    Attributes:
        host: name of the host in the inventory; "" where its instance is not known.
        exit_codes: of the containers that have ended.
        reason: what ECS says of a container, or of the stopped task.
    """

    id: str
    host: str
    status: str
    health: str
    started_at: datetime | None
    stopped_at: datetime | None
    stop_code: str
    exit_codes: tuple[int, ...]
    reason: str


@dataclass(frozen=True, slots=True)
class ObservedChange:
    """What looks at one try of a change have found; times are AWS's.

    A change is tried anew each time that it is sent. ``before_a_send`` says what is kept then.

    Attributes:
        reason: of the latest verdict, without words about looks that failed.
        hosts: by name.
        hosts_read_at: when the container instances were last read.
        tasks: the newest few, when they were last read.
        tasks_read_at: when tasks were last read.
        task_definition: ARN that the service was set to.
        deployment: id of the deployment of what was sent; "" when there was none.
        cause: what its failed tasks have in common; "" when nothing.
        settles_at: when the tasks that run now will have run for long enough.
        pull_counted: whether this try is already counted in ``pulls_failed``.
        restored: ARN that ECS had put back when the try counted as undelivered.
        survey: of the store; only that of its first change is used.
        restarts: of its containers, on the hosts.
    """

    reason: str = ""
    hosts: Mapping[str, HostContact] = field(default_factory=dict)
    hosts_read_at: datetime | None = None
    tasks: tuple[TaskSummary, ...] = ()
    tasks_read_at: datetime | None = None
    task_definition: str = ""
    deployment: str = ""
    cause: str = ""
    settles_at: datetime | None = None
    pull_counted: bool = False
    restored: str = ""
    survey: Survey = field(default_factory=Survey)
    restarts: Restarts = field(default_factory=Restarts)

    def before_a_send(self) -> "ObservedChange":
        """Return what still counts once it is sent: since when its hosts are away."""
        return ObservedChange(
            hosts={name: replace(host, tried_s=0.0) for name, host in self.hosts.items()},
            survey=self.survey,
        )


@dataclass(frozen=True, slots=True)
class PastTry:
    """Holds how a try of a change ended that is to be sent once more.

    Attributes:
        pulls_failed: tries until then of which the image could not be pulled.
    """

    stage: Stage
    verdict: Verdict
    reason: str
    pulls_failed: int = 0


@dataclass(frozen=True, slots=True)
class NextSend:
    """What is known for the next send of a change; forgotten once it was sent.

    Attributes:
        last_try: what the change goes back to when the send is called off; None when it has not
            been sent before, or the send follows from its verdict.
        overwrite: whether a person has said to overwrite what somebody else set.
        refusals: calls in a row that AWS has refused.
        rejected: whether AWS would not have its task definition, in whichever store.
        by_itself: whether a person retries just this store of a rollout that stays as it is.
        postponed: whether its turn has come and the store could not be read.
        is_tried: whether a call was made for it, whatever became of that.
        was_set_back: whether it was sent and set back while its store was away.
        deployment_before: id of the newest deployment at the last look, "" when there was none;
            None before the first look.
    """

    last_try: PastTry | None = None
    overwrite: bool = False
    refusals: int = 0
    rejected: bool = False
    by_itself: bool = False
    postponed: bool = False
    is_tried: bool = False
    was_set_back: bool = False
    deployment_before: str | None = None


@dataclass(frozen=True, slots=True)
class Undo:
    """What is known of setting a change back; forgotten once it is sent again.

    Attributes:
        settled: whether waiting for the store to run its previous revision is over; None when the
            store was not looked at for that.
        stays_back: whether a person has named the store, so that it does not owe the release.
        since: when it was first tried.
        refusals: calls that AWS has refused.
    """

    settled: bool | None = None
    stays_back: bool = False
    since: datetime | None = None
    refusals: int = 0


@dataclass(frozen=True, slots=True)
class Change:
    """One service of one store in one rollout.

    Attributes:
        store: id of the store.
        service: name of the service, and of its ``ServiceShape`` in the spec.
        account: name of the account, with ``region`` the shard.
        wave: index into the spec's waves, or ``CONVOY``.
        content: address of the task definition it shall run.
        previous: ARN of the revision that it ran before; "" when there was no service.
        desired_count: tasks it shall run; that of now is in ``previous_count``.
        stage: where it is in its life.
        verdict: what is known of it.
        reason: why, with numbers, for a person.
        since: of the verdict.
        sent_at: AWS's time of the reply to the call that sent it.
        target: ARN that was sent; "" before.
        sends: how often it was sent; more than once after failed pulls or ``retry``.
        pulls_failed: tries that ended because the image could not be pulled.
        away_since: since when its hosts are away, while they are.
        looked_at: AWS's time of the latest view of it.
        look_at: when it is to be looked at again; None for never or at its turn.
        ok_at: AWS's time of the first look at which what was sent last was ok.
        observed: what looks have found since it was sent.
        next_send: what is known for sending it.
        undo: what is known of setting it back.
        failure_accepted: whether a person has let the rollout go on in spite of its failure.
        is_late: whether it was good when its wave passed, and its verdict came after that.
    """

    store: str
    service: str
    account: str
    region: str
    cluster: str
    wave: int
    content: str
    previous: str
    desired_count: int
    previous_count: int = 0
    stage: Stage = Stage.PLANNED
    verdict: Verdict = Verdict.WAITING
    reason: str = ""
    since: datetime | None = None
    sent_at: datetime | None = None
    target: str = ""
    sends: int = 0
    pulls_failed: int = 0
    away_since: datetime | None = None
    looked_at: datetime | None = None
    look_at: datetime | None = None
    ok_at: datetime | None = None
    observed: ObservedChange = field(default_factory=ObservedChange)
    next_send: NextSend = field(default_factory=NextSend)
    undo: Undo = field(default_factory=Undo)
    failure_accepted: bool = False
    is_late: bool = False

    @property
    def key(self) -> tuple[str, str]:
        """Store and service: unique in a rollout."""
        return self.store, self.service

    @property
    def in_flight(self) -> bool:
        """Return whether it counts against the concurrency: sent, or maybe sent, and not settled.

        A dark store counts: ECS will apply the change when it returns.
        """
        if self.stage is Stage.SENT:
            return self.verdict.traits.in_flight
        return self.stage.is_call_open

    @property
    def is_settling(self) -> bool:
        """Return whether a call or deployment is in progress whose outcome is not known yet."""
        sent = self.stage is Stage.SENT and self.verdict is Verdict.WAITING
        return sent or self.stage.is_call_open

    @property
    def was_applied(self) -> bool:
        """Return whether the store was seen running what was sent last."""
        return self.ok_at is not None

    @property
    def is_sent_by_itself(self) -> bool:
        """Return whether it is to be sent though its rollout waits for a person."""
        planned = self.stage is Stage.PLANNED and self.verdict is not Verdict.PARKED
        return planned and self.next_send.by_itself

    @property
    def is_not_set_back(self) -> bool:
        """Return whether it was to be set back and fleet has given that up."""
        return self.stage is Stage.HELD and self.undo.since is not None

    @property
    def owes(self) -> bool:
        """Return whether the store still owes the release, as far as the change alone can tell.

        What failed, was changed by hand or was left out waits for a person and owes nothing. Nor
        does anything in a rollout that was taken back, which ``Phase.forgives`` says.
        """
        traits = self.verdict.traits
        return self.stage in traits.owes or (
            self.stage in traits.owes_until_ok and not self.was_applied
        )

    @property
    def is_left_out(self) -> bool:
        """Return whether a person or a newer rollout removed it, before or after it was sent."""
        return self.stage is Stage.SKIPPED and self.verdict is not Verdict.UNCHANGED

    @property
    def standing(self) -> Standing:
        """Return the word for it on a screen: its verdict, unless its stage says more."""
        if self.is_left_out:
            return Standing.SKIPPED
        if self.stage is Stage.UNDOING:
            return Standing.UNDOING
        if self.stage is Stage.UNDONE:
            return Standing.UNDONE
        if self.stage is Stage.PLANNED and self.verdict is Verdict.WAITING:
            return Standing.PLANNED
        return self.verdict.traits.standing

    def may_retry(self, *, named: bool) -> bool:
        """Return whether ``retry`` sends it again.

        Args:
            named: whether the store is named; only then is anything sent again that somebody else
                changed, or that was set back.
        """
        if not self.verdict.traits.is_retryable or self.stage in {Stage.SKIPPED, Stage.UNDOING}:
            return False
        asks = self.verdict is Verdict.CHANGED_BY_HAND or self.stage is Stage.UNDONE
        return named or not asks


def by_store(changes: Iterable[Change]) -> Mapping[str, tuple[Change, ...]]:
    """Return the changes of each store, stores in the order in which they first come."""
    found: dict[str, list[Change]] = {}
    for change in changes:
        found.setdefault(change.store, []).append(change)
    return {store: tuple(mine) for store, mine in found.items()}
