"""One host, from its plan to a verdict: each step performed, audited, and then looked at again."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from fleet.aws import observe, perform
from fleet.aws.session import Shard
from fleet.decide.agent_config import agent_config
from fleet.decide.classify import best_instance
from fleet.decide.identity import (
    activation_name,
    declared_attributes,
    differing,
    host_tags,
    is_ours,
)
from fleet.decide.status import ALL_ACTIVE, ecs_words
from fleet.decide.verify import verify
from fleet.engine.ledgers import read_store
from fleet.engine.tally import Tally
from fleet.engine.wiring import Wiring
from fleet.errors import AwsError, AwsUnreachable, FleetError
from fleet.model.onboarding import (
    Activate,
    Await,
    DeleteActivation,
    DeregisterOrphan,
    HostClass,
    HostPlan,
    HostStep,
    Install,
    PinMachine,
    PutAttributes,
    StoreLedgers,
    StorePlan,
    TagContainerInstance,
    TagNode,
    Verification,
    Verified,
)
from fleet.model.progress import HostEvent, HostLine, HostResult, Outcome, Phase
from fleet.model.secret import Secret
from fleet.report.commands import Again
from fleet.ssh.install import InstallOrder, InstallReport, install

#: How long an activation can be used. Long enough for a slow LTE link to fetch the packages, short
#: enough that one that leaks is soon worthless.
ACTIVATION_LIFE_S = 3600

#: Most time for the install exec, and for the ledgers to agree afterwards.
INSTALL_TIMEOUT_S = 1800.0
VERIFY_TIMEOUT_S = 180.0
VERIFY_EVERY_S = 5.0


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


def run_host(run: HostRun) -> HostResult:
    """Perform a host's plan.

    Raises:
        FleetError: a step failed; an activation that was made is deleted all the same.
    """
    run.began = run.wiring.clock.now()
    plan = run.plan
    if plan.refusal:
        outcome = Outcome.LOCKED if plan.locked else Outcome.REFUSED
        return run.result(outcome, _refusal_reason(plan), plan.fix)
    if not plan.steps:
        return run.result(Outcome.ALREADY, plan.classification.reason)
    if _has(plan, DeleteActivation, DeregisterOrphan):
        changed = _changed(plan, run.look_again())
        if changed:
            return run.result(Outcome.FAILED, f"changed since it was planned: {changed}", run.again)
    if not _has(plan, Install, Await):
        return _take_steps(run, plan.steps) or run.result(Outcome.REPAIRED, _repaired(plan))
    # A machine is pinned once it was seen to be registered.
    pins = tuple(step for step in plan.steps if isinstance(step, PinMachine))
    try:
        stopped = _take_steps(run, tuple(step for step in plan.steps if step not in pins))
        if stopped:
            return stopped
        verdict = _await_verified(run)
    finally:
        _discard_activation(run)
    if verdict.verified is not Verified.YES:
        return run.result(
            Outcome.NOT_VERIFIED,
            f"{verdict.verified}: {verdict.reason}",
            f"{run.again}, which resumes from there",
            verdict.container_instance_arn,
        )
    outcome = Outcome.REGISTERED if _has(plan, Install) else Outcome.REPAIRED
    return _take_steps(run, pins) or run.result(
        outcome, verdict.reason, arn=verdict.container_instance_arn
    )


def _has(plan: HostPlan, *kinds: type) -> bool:
    return any(isinstance(step, kinds) for step in plan.steps)


def _take_steps(run: HostRun, steps: Sequence[HostStep]) -> HostResult | None:
    """Take steps in order; a result only where a person stopped the run before one of them."""
    for step in steps:
        if run.stopping and not isinstance(step, PinMachine):
            return run.result(Outcome.STOPPED, f"stopped before {_name(step)}", run.again)
        _perform(run, step)
    return None


def _changed(planned: HostPlan, now: HostPlan) -> str:
    """What differs between two plans of a host; "" if the same would be done.

    Deleting an activation or deregistering a node must not rest on a picture that is minutes old:
    a person took their time at the prompt, or an earlier run is at work on the host after all.
    """
    if now.steps == planned.steps:
        return ""
    return now.refusal or f"it is {now.classification.host_class}: {now.classification.reason}"


def _refusal_reason(plan: HostPlan) -> str:
    if plan.classification.host_class in {HostClass.UNREACHABLE, HostClass.UNPINNED}:
        return plan.classification.reason
    return f"{plan.refusal}: {plan.classification.reason}"


def _name(step: HostStep) -> str:
    return {
        DeleteActivation: "deleting an old activation",
        DeregisterOrphan: "deregistering an orphan",
        Activate: "creating an activation",
        Install: "installing",
        PutAttributes: "putting attributes",
        TagContainerInstance: "tagging",
        TagNode: "tagging the node",
        Await: "verifying",
        PinMachine: "pinning",
    }[type(step)]


def _repaired(plan: HostPlan) -> str:
    return "; ".join(step.reason for step in plan.steps)


def _perform(run: HostRun, step: HostStep) -> None:
    match step:
        case DeleteActivation():
            run.audit("ssm:DeleteActivation", step.reason, activation_id=step.activation_id)
            perform.delete_activation(run.shard, step.activation_id)
            run.tally.deleted(step.activation_id)
        case DeregisterOrphan():
            run.audit(
                "ssm:DeregisterManagedInstance",
                step.reason,
                managed_instance_id=step.managed_instance_id,
            )
            perform.deregister_managed_instance(run.shard, step.managed_instance_id)
        case Activate():
            _activate(run, step)
        case Install():
            _install(run, step)
        case PutAttributes():
            run.tell(Phase.REPAIRING, "attributes")
            run.audit("ecs:PutAttributes", step.reason, **step.attributes)
            cluster = run.store_plan.store.cluster
            perform.put_attributes(run.shard, cluster, step.container_instance_arn, step.attributes)
        case TagContainerInstance():
            run.tell(Phase.REPAIRING, "tags")
            run.audit("ecs:TagResource", step.reason, **step.tags)
            perform.tag_resource(run.shard, step.container_instance_arn, step.tags)
        case TagNode():
            run.tell(Phase.REPAIRING, "tags of the node")
            run.audit("ssm:AddTagsToResource", step.reason, **step.tags)
            perform.tag_managed_instance(run.shard, step.managed_instance_id, step.tags)
        case Await():
            pass  # done after all steps, as for an install
        case PinMachine():
            run.audit("fleet:PinMachine", step.reason, machine_id=step.machine_id)
            run.wiring.pin_machine(run.plan.host.id, step.machine_id)


def _activate(run: HostRun, step: Activate) -> None:
    """Create the activation; when the answer was lost, delete what it may have made first.

    CreateActivation is not idempotent and its code is shown once, so an activation whose answer
    was lost can never be used: it is found by its name, deleted, and asked for once more.
    """
    run.tell(Phase.ACTIVATING)
    try:
        _create_activation(run)
    except AwsUnreachable:
        _sweep(run)
        try:
            _create_activation(run)
        except AwsUnreachable:
            _sweep(run)
            raise
    run.audit("ssm:CreateActivation", step.reason, activation_id=run.activation_id)


def _create_activation(run: HostRun) -> None:
    host = run.plan.host
    activation, code = perform.create_activation(
        run.shard,
        role=run.store_plan.store.account.instance_role,
        name=activation_name(host),
        expires_in_s=ACTIVATION_LIFE_S,
        tags=host_tags(run.wiring.fleet.name, host),
        now=run.wiring.clock.now(),
    )
    run.activation_id, run.code = activation.id, code
    run.tally.created(activation.id)


def _sweep(run: HostRun) -> None:
    """Delete what CreateActivation may have made before its answer was lost.

    SSM may not list it yet; then there may be one that is open for an hour, and the tally says so.
    """
    host, fleet_name = run.plan.host, run.wiring.fleet.name
    seen = observe.activations(run.shard, [activation_name(host)]).value
    mine = [a for a in seen if is_ours(a.tags, fleet_name, host)]
    if not mine:
        run.tally.unsure()
    for activation in mine:
        reason = "AWS's answer, and so its code, was lost"
        run.audit("ssm:DeleteActivation", reason, activation_id=activation.id)
        perform.delete_activation(run.shard, activation.id)
        run.tally.deleted(activation.id)


def _discard_activation(run: HostRun) -> None:
    """Delete the activation whatever happened; what cannot be deleted stays in the tally.

    A node that has registered is not touched by it, and a code that nobody may use any more is no
    secret any more.
    """
    run.code = None
    if not run.activation_id:
        return
    try:
        perform.delete_activation(run.shard, run.activation_id)
    except AwsError:
        return  # named in the summary, and deleted by the next run
    run.tally.deleted(run.activation_id)
    run.audit("ssm:DeleteActivation", "used, or no longer needed", activation_id=run.activation_id)


def _install(run: HostRun, step: Install) -> None:
    if run.script is None:
        message = "a plan that installs was given no install script"
        raise FleetError(message)
    run.tell(Phase.INSTALLING)
    store, host = run.store_plan.store, run.plan.host
    config = agent_config(run.wiring.fleet.name, store, host)
    order = InstallOrder(
        region=store.region,
        cluster=store.cluster,
        activation_id=run.activation_id or None,
        installer=run.script.content,
        ecs_config=config.ecs,
        ecs_var_config=config.var_ecs,
        store_json=config.store,
        set_runtime=step.set_runtime,
        docker_source=step.docker_source,
    )

    # Audited before, too: whatever happens to the connection, the host may have been changed.
    run.audit("host:Install", step.reason, installer_sha256=run.script.sha256)
    with run.wiring.connect(host, None) as connection:
        report: InstallReport = install(
            connection,
            order,
            code=run.code,
            on_line=run.tell_line,
            on_step=lambda name: run.tell(Phase.INSTALLING, name),
            timeout_s=INSTALL_TIMEOUT_S,
        )
    run.vault_id = report.managed_instance_id
    run.audit(
        "host:Installed",
        step.reason,
        managed_instance_id=report.managed_instance_id,
        container_instance_arn=report.container_instance_arn,
    )


def _await_verified(run: HostRun) -> Verification:
    """Read the ledgers until they agree or time is up; mends attributes on the way.

    Attributes only count at an agent's first registration, so a host that was resumed may carry
    older ones.
    """
    run.tell(Phase.VERIFYING)
    store, host = run.store_plan.store, run.plan.host
    clock = run.wiring.clock
    deadline = clock.now().timestamp() + VERIFY_TIMEOUT_S
    while True:
        ledgers = read_store(run.shard, store, (), [run.vault_id], None)
        verdict = verify(store, host, run.vault_id, ledgers)
        if verdict.verified is Verified.ATTRIBUTES_DIFFER:
            _mend(run, ledgers, verdict)
        late = clock.now().timestamp() >= deadline
        if verdict.verified in {Verified.YES, Verified.TWINS} or late or run.stopping:
            _record(run, verdict, ledgers)
            return verdict
        run.tell(Phase.VERIFYING, verdict.reason)
        clock.sleep(VERIFY_EVERY_S)


def _mend(run: HostRun, ledgers: StoreLedgers, verdict: Verification) -> None:
    store, host = run.store_plan.store, run.plan.host
    mine = tuple(i for i in ledgers.container_instances if i.managed_instance_id == run.vault_id)
    wrong = differing(declared_attributes(store, host), best_instance(mine).attributes)
    _perform(run, PutAttributes(verdict.container_instance_arn, wrong, verdict.reason))


def _record(run: HostRun, verdict: Verification, ledgers: StoreLedgers) -> None:
    host, records, now = run.plan.host, run.wiring.records, run.wiring.clock.now()
    # The install ended well only because all three services ran.
    records.observe(host.store, host.name, "host", {"state": ALL_ACTIVE}, at=now)
    node = next((n for n in ledgers.managed_instances if n.id == run.vault_id), None)
    if node:
        records.observe(host.store, host.name, "ssm", {"state": str(node.ping)}, at=now)
    for instance in ledgers.container_instances:
        if instance.arn == verdict.container_instance_arn:
            records.observe(host.store, host.name, "ecs", {"state": ecs_words(instance)}, at=now)
