"""The run of one host: performs its steps, audits each, and verifies the host in SSM and ECS."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from fleet.aws.activations import activations_named, create_activation, delete_activation
from fleet.aws.container_instances import put_attributes
from fleet.aws.managed_instances import deregister_managed_instance, tag_managed_instance
from fleet.aws.session import Shard
from fleet.aws.tags import tag_resource
from fleet.errors import AwsError, AwsUnreachable, FleetError
from fleet.model import aws_actions
from fleet.model.identity import (
    activation_name,
    declared_attributes,
    differing,
    host_tags,
    is_ours,
)
from fleet.model.inventory import Host
from fleet.model.observed import ALL_ACTIVE, best_instance
from fleet.model.progress import HostEvent, HostLine, HostPhase
from fleet.model.registration import (
    Activate,
    Await,
    DeleteActivation,
    DeregisterOrphan,
    HostClass,
    HostOutcome,
    HostRegistration,
    HostResult,
    HostStep,
    Install,
    PinMachine,
    PutAttributes,
    RegisterCommand,
    StoreLedgers,
    StoreRegistration,
    TagContainerInstance,
    TagNode,
    Verification,
    Verified,
)
from fleet.model.secret import Secret
from fleet.register.decide.agent_config import agent_config
from fleet.register.decide.verify import verify
from fleet.register.installer import InstallScript
from fleet.runtime.ledgers import read_store
from fleet.runtime.wiring import Wiring
from fleet.ssh.install import InstallOrder, install

#: Lifetime of an activation: long enough to fetch the packages over a slow LTE link, short enough
#: that a leaked code soon expires.
ACTIVATION_LIFE_S = 3600
#: Limits of the install exec and of the wait for SSM and ECS afterwards.
INSTALL_TIMEOUT_S = 1800.0
VERIFY_TIMEOUT_S = 180.0
VERIFY_EVERY_S = 5.0


@dataclass(slots=True)
class HostRun:
    """One host of a register run and what has been done with it so far.

    Attributes:
        read_again: reads the host and AWS again and decides again.
        created: ids of the activations that were created for the host.
        deleted: ids of the activations that were deleted, of this run or an earlier one.
        unsure: how often CreateActivation's answer was lost and no activation was found.
        activation_id: of the activation that the install uses.
        code: of that activation.
        vault_id: the node id that the host holds, or "".
    """

    wiring: Wiring
    shard: Shard
    caller_arn: str
    run_id: str
    store_registration: StoreRegistration
    registration: HostRegistration
    script: InstallScript | None
    read_again: Callable[[], HostRegistration]
    set_runtime: bool
    vault_id: str = ""
    began: datetime = field(init=False)
    created: list[str] = field(default_factory=list)
    deleted: set[str] = field(default_factory=set)
    unsure: int = 0
    activation_id: str = ""
    code: Secret | None = None

    def __post_init__(self) -> None:
        self.began = self.wiring.clock.now()

    @property
    def host(self) -> Host:
        """Return the host."""
        return self.registration.host

    @property
    def command(self) -> str:
        """Return the command that registers this host alone."""
        return RegisterCommand(frozenset({self.host.id}), self.set_runtime).text([self.host.store])

    def report(self, phase: HostPhase, text: str = "") -> None:
        """Report the phase that the host is in."""
        self.wiring.listen(HostEvent(self.wiring.clock.now(), self.host.id, phase, text))

    def log(self, line: str) -> None:
        """Add a line to the host's log."""
        self.wiring.listen(HostLine(self.wiring.clock.now(), self.host.id, line))

    def audit(self, action: str, why: str, **detail: str) -> None:
        """Write an audit row for a change."""
        self.wiring.records.audit(
            self.run_id,
            at=self.wiring.clock.now(),
            caller_arn=self.caller_arn,
            action=action,
            store=self.host.store,
            host=self.host.name,
            why=why,
            detail=detail,
        )

    def result(self, outcome: HostOutcome, reason: str, fix: str = "", arn: str = "") -> HostResult:
        """Report the end of the host's run and return its result."""
        seconds = (self.wiring.clock.now() - self.began).total_seconds()
        self.report(HostPhase.DONE, f"{outcome}: {reason}")
        return HostResult(self.registration, outcome, reason, fix, seconds, self.vault_id, arn)


def run_host(run: HostRun) -> HostResult:
    """Perform the registration of a host and verify it.

    Raises:
        FleetError: a step failed; an activation that was created has been deleted all the same.
    """
    run.began = run.wiring.clock.now()
    registration = run.registration
    if registration.refusal:
        outcome = HostOutcome.LOCKED if registration.locked else HostOutcome.REFUSED
        return run.result(outcome, _refusal_reason(registration), registration.fix)
    if not registration.steps:
        return run.result(HostOutcome.ALREADY, registration.classification.reason)
    if registration.has(DeleteActivation, DeregisterOrphan):
        changed = _changed(registration, run.read_again())
        if changed:
            reason = f"changed since it was planned: {changed}"
            return run.result(HostOutcome.FAILED, reason, run.command)
    if not registration.has(Install, Await):
        repaired = "; ".join(step.reason for step in registration.steps)
        return _perform_all(run, registration.steps) or run.result(HostOutcome.REPAIRED, repaired)
    # A machine is pinned after it was seen to be registered.
    pins = tuple(step for step in registration.steps if isinstance(step, PinMachine))
    try:
        stopped = _perform_all(run, [step for step in registration.steps if step not in pins])
        if stopped:
            return stopped
        verification = _await_verified(run)
    finally:
        _delete_own_activation(run)
    arn = verification.container_instance_arn
    if verification.verified is not Verified.YES:
        reason = f"{verification.verified}: {verification.reason}"
        fix = f"{run.command}, which resumes from there"
        return run.result(HostOutcome.NOT_VERIFIED, reason, fix, arn)
    outcome = HostOutcome.REGISTERED if registration.has(Install) else HostOutcome.REPAIRED
    return _perform_all(run, pins) or run.result(outcome, verification.reason, arn=arn)


def _refusal_reason(registration: HostRegistration) -> str:
    found = registration.classification
    if found.host_class in {HostClass.UNREACHABLE, HostClass.UNPINNED}:
        return found.reason
    return f"{registration.refusal}: {found.reason}"


def _changed(planned: HostRegistration, now: HostRegistration) -> str:
    """Return what differs between two decisions about a host; "" if the steps are the same.

    An activation is not deleted and a node not deregistered on a reading that is minutes old: a
    person may have waited at the prompt, or an earlier run may be at work on the host.
    """
    if now.steps == planned.steps:
        return ""
    return now.refusal or f"it is {now.classification.host_class}: {now.classification.reason}"


def _perform_all(run: HostRun, steps: Sequence[HostStep]) -> HostResult | None:
    """Perform steps in order; return a result only if a person stopped the run before one."""
    for step in steps:
        if run.wiring.stop.is_set() and not isinstance(step, PinMachine):
            reason = f"stopped before this step: {step.text}"
            return run.result(HostOutcome.STOPPED, reason, run.command)
        _perform(run, step)
    return None


def _perform(run: HostRun, step: HostStep) -> None:
    match step:
        case DeleteActivation():
            _delete_activation(run, step.activation_id, step.reason)
        case DeregisterOrphan(node, reason):
            run.audit(aws_actions.DEREGISTER_MANAGED_INSTANCE.id, reason, managed_instance_id=node)
            deregister_managed_instance(run.shard, node)
        case Activate():
            _activate(run, step)
        case Install():
            _install(run, step)
        case PutAttributes(arn, attributes, reason):
            run.report(HostPhase.REPAIRING, "attributes")
            run.audit(aws_actions.PUT_ATTRIBUTES.id, reason, **attributes)
            cluster = run.store_registration.store.cluster
            put_attributes(run.shard, cluster, arn, attributes)
        case TagContainerInstance(arn, tags, reason):
            run.report(HostPhase.REPAIRING, "tags")
            run.audit(aws_actions.TAG_RESOURCE.id, reason, **tags)
            tag_resource(run.shard, arn, tags)
        case TagNode(node, tags, reason):
            run.report(HostPhase.REPAIRING, "tags of the node")
            run.audit(aws_actions.ADD_TAGS.id, reason, **tags)
            tag_managed_instance(run.shard, node, tags)
        case Await():
            pass  # done after all steps, as for an install
        case PinMachine():
            run.audit("fleet:PinMachine", step.reason, machine_id=step.machine_id)
            run.wiring.pin_machine(run.host.id, step.machine_id)


def _activate(run: HostRun, step: Activate) -> None:
    """Create the host's activation; try once more when AWS's answer was lost.

    CreateActivation is not idempotent and its code is shown once. An activation whose answer was
    lost can never be used, so it is found by its name and deleted before the second try.
    """
    run.report(HostPhase.ACTIVATING)
    try:
        _create_activation(run)
    except AwsUnreachable:
        _delete_lost_activations(run)
        try:
            _create_activation(run)
        except AwsUnreachable:
            _delete_lost_activations(run)
            raise
    run.audit(aws_actions.CREATE_ACTIVATION.id, step.reason, activation_id=run.activation_id)


def _create_activation(run: HostRun) -> None:
    activation, run.code = create_activation(
        run.shard,
        role=run.store_registration.store.account.instance_role,
        name=activation_name(run.host),
        expires_in_s=ACTIVATION_LIFE_S,
        tags=host_tags(run.wiring.fleet.name, run.host),
        now=run.wiring.clock.now(),
    )
    run.activation_id = activation.id
    run.created.append(activation.id)


def _delete_lost_activations(run: HostRun) -> None:
    """Delete what CreateActivation may have created before its answer was lost.

    SSM may not list it yet. Then one may stay open for an hour, and the summary says so.
    """
    listed = activations_named(run.shard, [activation_name(run.host)]).value
    ours = [a for a in listed if is_ours(a.tags, run.wiring.fleet.name, run.host)]
    if not ours:
        run.unsure += 1
    for activation in ours:
        _delete_activation(run, activation.id, "AWS's answer, and so its code, was lost")


def _delete_activation(run: HostRun, activation_id: str, reason: str) -> None:
    run.audit(aws_actions.DELETE_ACTIVATION.id, reason, activation_id=activation_id)
    delete_activation(run.shard, activation_id)
    run.deleted.add(activation_id)


def _delete_own_activation(run: HostRun) -> None:
    """Delete the activation of the install, however that ended; the node is not affected.

    One that cannot be deleted is named in the summary, and the next run deletes it.
    """
    run.code = None
    if not run.activation_id:
        return
    try:
        delete_activation(run.shard, run.activation_id)
    except AwsError:
        return
    run.deleted.add(run.activation_id)
    run.audit(
        aws_actions.DELETE_ACTIVATION.id,
        "used, or no longer needed",
        activation_id=run.activation_id,
    )


def _install(run: HostRun, step: Install) -> None:
    if run.script is None:
        message = "a plan that installs was given no install script"
        raise FleetError(message)
    run.report(HostPhase.INSTALLING)
    store = run.store_registration.store
    config = agent_config(run.wiring.fleet.name, store, run.host)
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
    # Audited before, too: the host may have been changed even if the connection breaks.
    run.audit("host:Install", step.reason, installer_sha256=run.script.sha256)
    with run.wiring.connect(run.host, None) as connection:
        report = install(
            connection,
            order,
            code=run.code,
            on_line=run.log,
            on_step=lambda name: run.report(HostPhase.INSTALLING, name),
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
    """Read SSM and ECS until they show the host as registered, or until the time is up.

    Attributes count only when an agent registers for the first time, so a host whose install was
    resumed may carry older ones; they are put right here.
    """
    run.report(HostPhase.VERIFYING)
    store, clock = run.store_registration.store, run.wiring.clock
    deadline = clock.now().timestamp() + VERIFY_TIMEOUT_S
    while True:
        ledgers = read_store(run.shard, store, (), [run.vault_id], None)
        found = verify(store, run.host, run.vault_id, ledgers)
        if found.verified is Verified.ATTRIBUTES_DIFFER:
            best = best_instance(ledgers.instances_of(run.vault_id))
            wrong = differing(declared_attributes(store, run.host), best.attributes)
            _perform(run, PutAttributes(best.arn, wrong, found.reason))
        late = clock.now().timestamp() >= deadline or run.wiring.stop.is_set()
        if late or found.verified in {Verified.YES, Verified.TWINS}:
            _record(run, found, ledgers)
            return found
        run.report(HostPhase.VERIFYING, found.reason)
        clock.sleep(VERIFY_EVERY_S)


def _record(run: HostRun, found: Verification, ledgers: StoreLedgers) -> None:
    """Record what the host, SSM and ECS said last."""
    # The install ends well only if all three services run.
    states = {"host": ALL_ACTIVE}
    node = ledgers.node(run.vault_id)
    if node:
        states["ssm"] = str(node.ping)
    for instance in ledgers.container_instances:
        if instance.arn == found.container_instance_arn:
            states["ecs"] = instance.state
    for ledger, state in states.items():
        run.wiring.records.observe(
            run.host.store, run.host.name, ledger, {"state": state}, at=run.wiring.clock.now()
        )
