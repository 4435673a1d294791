"""What the programs of a simulated host do, in the daemon; the host runs a thin script for each."""

import logging
from collections.abc import Callable, Mapping

from fleet.sandbox.hosts.programs import measures, packaging
from fleet.sandbox.hosts.programs.amazon_ssm_agent import amazon_ssm_agent
from fleet.sandbox.hosts.programs.call import Call, Reply, failed
from fleet.sandbox.hosts.programs.curl import curl
from fleet.sandbox.hosts.programs.docker import docker
from fleet.sandbox.hosts.programs.systemctl import systemctl
from fleet.sandbox.hosts.shop_host import ShopHost

_LOG = logging.getLogger(__name__)

PROGRAMS: Mapping[str, Callable[[ShopHost, Call], Reply]] = {
    "systemctl": systemctl,
    "docker": docker,
    "curl": curl,
    "df": measures.df,
    "sleep": measures.sleep,
    "sandbox-clock": measures.clock,
    "apt-get": packaging.apt_get,
    "dpkg": packaging.dpkg,
    "apt-key": packaging.apt_key,
    "add-apt-repository": packaging.add_apt_repository,
    "gpg": packaging.gpg,
    "amazon-ssm-agent": amazon_ssm_agent,
}


def run(host: ShopHost, call: Call) -> Reply:
    """Run a program; a bug in one ends that program, not the daemon."""
    program = PROGRAMS.get(call.program)
    if program is None:
        return failed(127, f"{call.program}: the sandbox does not simulate this program")
    try:
        return program(host, call)
    except Exception:  # noqa: BLE001 - logged whole; one program must not end the others
        _LOG.exception("%s on %s failed", call.program, host.id)
        return failed(70, f"{call.program}: a bug in the sandbox, see its log")
