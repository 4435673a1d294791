"""Activations of one host: made for it alone, used once, and deleted whatever happened."""

from fleet.aws.activations import activations_named, create_activation, delete_activation
from fleet.errors import AwsError, AwsUnreachable
from fleet.model.identity import (
    activation_name,
    host_tags,
    is_ours,
)
from fleet.model.onboarding import (
    Activate,
)
from fleet.model.progress import Phase
from fleet.register.host_run import HostRun

#: How long an activation can be used. Long enough for a slow LTE link to fetch the packages, short
#: enough that one that leaks is soon worthless.
ACTIVATION_LIFE_S = 3600


def activate(run: HostRun, step: Activate) -> None:
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
    activation, code = create_activation(
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
    seen = activations_named(run.shard, [activation_name(host)]).value
    mine = [a for a in seen if is_ours(a.tags, fleet_name, host)]
    if not mine:
        run.tally.unsure()
    for activation in mine:
        reason = "AWS's answer, and so its code, was lost"
        run.audit("ssm:DeleteActivation", reason, activation_id=activation.id)
        delete_activation(run.shard, activation.id)
        run.tally.deleted(activation.id)


def discard_activation(run: HostRun) -> None:
    """Delete the activation whatever happened; what cannot be deleted stays in the tally.

    A node that has registered is not touched by it, and a code that nobody may use any more is no
    secret any more.
    """
    run.code = None
    if not run.activation_id:
        return
    try:
        delete_activation(run.shard, run.activation_id)
    except AwsError:
        return  # named in the summary, and deleted by the next run
    run.tally.deleted(run.activation_id)
    run.audit("ssm:DeleteActivation", "used, or no longer needed", activation_id=run.activation_id)
