"""Words that ``fleet drift`` and ``fleet cron``, which writes it down, have in common."""

from enum import StrEnum
from typing import Annotated

import typer

from fleet.model.drift_settings import Severity


class Format(StrEnum):
    """How a night is written to stdout."""

    TABLE = "table"
    JSON = "json"
    MARKDOWN = "md"
    HTML = "html"


DigestsOption = Annotated[
    bool,
    typer.Option(
        "--digests", help="Also compare the images that tasks run; 1 to 2 calls more per store."
    ),
]
DeepOption = Annotated[
    bool,
    typer.Option("--deep", help="Also ask the hosts: containers, disk, temperature, clock."),
]
FailOnOption = Annotated[
    Severity | None,
    typer.Option(
        "--fail-on",
        help="Least severity that ends with 3; without it what fleet.yaml says.",
        show_default=False,
    ),
]
