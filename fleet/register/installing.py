"""One host, from its plan to a verdict: each step performed, audited, and then looked at again."""

from collections.abc import Sequence

from fleet.aws.activations import delete_activation
from fleet.aws.container_instances import put_attributes
from fleet.aws.managed_instances import deregister_managed_instance, tag_managed_instance
from fleet.aws.tags import tag_resource
from fleet.errors import FleetError
from fleet.model.identity import (
    declared_attributes,
    differing,
)
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
    TagContainerInstance,
    TagNode,
    Verification,
    Verified,
)
from fleet.model.progress import HostResult, Outcome, Phase
from fleet.register.activating import activate, discard_activation
from fleet.register.decide.agent_config import agent_config
from fleet.register.decide.classify import best_instance
from fleet.register.decide.ledgers import ALL_ACTIVE, ecs_words
from fleet.register.decide.verify import verify
from fleet.register.host_run import HostRun
from fleet.runtime.ledgers import read_store
from fleet.ssh.install import InstallOrder, InstallReport, install

#: Most time for the install exec, and for the ledgers to agree afterwards.
INSTALL_TIMEOUT_S = 1800.0
VERIFY_TIMEOUT_S = 180.0
VERIFY_EVERY_S = 5.0


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
    if plan.has(DeleteActivation, DeregisterOrphan):
        changed = _changed(plan, run.look_again())
        if changed:
            return run.result(Outcome.FAILED, f"changed since it was planned: {changed}", run.again)
    if not plan.has(Install, Await):
        return _take_steps(run, plan.steps) or run.result(Outcome.REPAIRED, _repaired(plan))
    # A machine is pinned once it was seen to be registered.
    pins = tuple(step for step in plan.steps if isinstance(step, PinMachine))
    try:
        stopped = _take_steps(run, tuple(step for step in plan.steps if step not in pins))
        if stopped:
            return stopped
        verdict = _await_verified(run)
    finally:
        discard_activation(run)
    if verdict.verified is not Verified.YES:
        return run.result(
            Outcome.NOT_VERIFIED,
            f"{verdict.verified}: {verdict.reason}",
            f"{run.again}, which resumes from there",
            verdict.container_instance_arn,
        )
    outcome = Outcome.REGISTERED if plan.has(Install) else Outcome.REPAIRED
    return _take_steps(run, pins) or run.result(
        outcome, verdict.reason, arn=verdict.container_instance_arn
    )


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
            delete_activation(run.shard, step.activation_id)
            run.tally.deleted(step.activation_id)
        case DeregisterOrphan():
            run.audit(
                "ssm:DeregisterManagedInstance",
                step.reason,
                managed_instance_id=step.managed_instance_id,
            )
            deregister_managed_instance(run.shard, step.managed_instance_id)
        case Activate():
            activate(run, step)
        case Install():
            _install(run, step)
        case PutAttributes():
            run.tell(Phase.REPAIRING, "attributes")
            run.audit("ecs:PutAttributes", step.reason, **step.attributes)
            cluster = run.store_plan.store.cluster
            put_attributes(run.shard, cluster, step.container_instance_arn, step.attributes)
        case TagContainerInstance():
            run.tell(Phase.REPAIRING, "tags")
            run.audit("ecs:TagResource", step.reason, **step.tags)
            tag_resource(run.shard, step.container_instance_arn, step.tags)
        case TagNode():
            run.tell(Phase.REPAIRING, "tags of the node")
            run.audit("ssm:AddTagsToResource", step.reason, **step.tags)
            tag_managed_instance(run.shard, step.managed_instance_id, step.tags)
        case Await():
            pass  # done after all steps, as for an install
        case PinMachine():
            run.audit("fleet:PinMachine", step.reason, machine_id=step.machine_id)
            run.wiring.pin_machine(run.plan.host.id, step.machine_id)


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
