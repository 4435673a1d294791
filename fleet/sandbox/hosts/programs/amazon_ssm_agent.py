"""The command ``amazon-ssm-agent``: registration and version."""

from fleet.sandbox.agents import identity, ssm
from fleet.sandbox.agents.session import AwsFault, LinkDown
from fleet.sandbox.hosts.programs.call import (
    ProgramCall,
    ProgramReply,
    failed,
    said,
    unsupported,
    wait,
)
from fleet.sandbox.hosts.shop_host import ShopHost

_NO_ANSWER_S = 30.0


def amazon_ssm_agent(host: ShopHost, call: ProgramCall) -> ProgramReply:
    """Run ``-register -code C -id I -region R [-y]``, ``-version`` or ``-fingerprint``.

    The code is handed to the control plane and kept nowhere.
    """
    options: dict[str, str] = {}
    rest = iter(call.args)
    for word in rest:
        name = word.lstrip("-")
        if name in {"code", "id", "region"}:
            options[name] = next(rest, "")
        elif name in {"register", "y", "version", "fingerprint", "clear"}:
            options[name] = ""
        else:
            # Not the word itself: a mistyped line may hold the code.
            return unsupported(call, "an option that it does not know")
    if "version" in options:
        return said(f"SSM Agent version: {ssm.VERSION}")
    if not call.root:
        return failed(1, "amazon-ssm-agent: permission denied, are you root?")
    if "fingerprint" in options:
        identity.fingerprint(host)
        return ProgramReply()
    if "register" not in options:
        return unsupported(call, "running in the foreground")
    return _register(host, options)


def _register(host: ShopHost, options: dict[str, str]) -> ProgramReply:
    if "clear" in options and not {"code", "id", "region"} & options.keys():
        host.keep(identity.VAULT, "")
        return said("INFO Registration information has been removed from the instance.")
    if missing := [name for name in ("code", "id", "region") if not options.get(name)]:
        return failed(1, f"Activation {missing[0]} is required for registration")
    if identity.read_registration(host) is not None and "y" not in options:
        return failed(
            1,
            "Instance already registered. Would you like to override existing with new "
            "registration information? [Yes/No]: registration canceled",
        )
    try:
        registration = ssm.register(
            host,
            activation_id=options["id"],
            activation_code=options["code"],
            region=options["region"],
        )
    except LinkDown as error:
        wait(host.clock, _NO_ANSWER_S)
        return failed(1, f"ERROR Registration failed due to error registering: {error}")
    except AwsFault as error:
        return failed(
            1,
            f"ERROR Registration failed due to error registering with AWS SSM. {error}",
        )
    return said(
        "INFO Successfully registered the instance with AWS SSM using Managed instance-id: "
        f"{registration.instance_id}"
    )
