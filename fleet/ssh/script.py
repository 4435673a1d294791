"""Puts together the shell code that is sent to hosts, from the files beside this one."""

from importlib import resources


def whole_script(name: str, values: str) -> bytes:
    """Return assignments, ``probe.sh``, the script, and the call of its ``main``.

    The call comes last, so that a script that arrives in part does nothing, and ``exit`` stands on
    its line, so that bash never takes for a command what follows the script in the same stream.

    Args:
        name: of the script file, which defines ``main``.
        values: shell assignments, quoted already.
    """
    files = resources.files("fleet.ssh")
    texts = [files.joinpath(part).read_text(encoding="utf-8") for part in ("probe.sh", name)]
    return "".join([values, *texts, "main; exit\n"]).encode()
