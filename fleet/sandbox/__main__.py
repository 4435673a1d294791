"""``python -m fleet.sandbox --state DIR``: runs the daemon until a signal or a stop request."""

import argparse
import logging
import signal
import sys
from pathlib import Path
from types import FrameType

from fleet.errors import FleetError
from fleet.sandbox.daemon import running
from fleet.sandbox.spec import StateDir


def main() -> int:
    """Run it; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m fleet.sandbox")
    parser.add_argument("--state", type=Path, required=True, help="folder with a spec.json")
    state = StateDir(parser.parse_args().state.resolve())
    logging.basicConfig(
        stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(name)s %(message)s"
    )
    # paramiko tells every connection; what matters of them is in the hosts' own words.
    logging.getLogger("paramiko").setLevel(logging.CRITICAL)
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        with running(state) as daemon:
            daemon.wait()
    except KeyboardInterrupt:
        return 0
    except FleetError as error:
        sys.stderr.write(f"error: {error}\n")
        if error.hint:
            sys.stderr.write(f"hint: {error.hint}\n")
        return error.exit_code
    return 0


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
