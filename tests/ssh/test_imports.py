import pkgutil
import subprocess
import sys

import fleet.ssh

#: Loaded with the first connection.
WITH_PARAMIKO = {"route", "transport"}


def test_importing_the_edge_does_not_import_paramiko() -> None:
    names = {module.name for module in pkgutil.iter_modules(fleet.ssh.__path__)} - WITH_PARAMIKO
    script = (
        f"import sys; from fleet.ssh import {', '.join(sorted(names))}; "
        "print({'paramiko', 'cryptography'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True)
    assert done.stdout == b"set()\n"
