"""``fleet rollout``: its first word is a verb or, when it is none, a workload to roll out."""

from typing import Any

from typer.core import TyperGroup

#: The verb that may be left out.
START = "start"
#: All verbs, in the order of the help.
VERBS = (
    START,
    "status",
    "watch",
    "wait",
    "history",
    "pause",
    "resume",
    "promote",
    "retry",
    "skip",
    "abort",
    "rollback",
)


class RolloutGroup(TyperGroup):
    """Reads ``fleet rollout vision`` as ``fleet rollout start vision``."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put the verb in that was left out."""
        spoken = bool(args) and (args[0] in self.commands or args[0] in ctx.help_option_names)
        return super().parse_args(ctx, args if spoken else [START, *args])

    def format_usage(self, ctx: Any, formatter: Any) -> None:
        """Both forms."""
        formatter.write_usage(ctx.command_path, "[WORKLOAD...] [OPTIONS]")
        formatter.write_usage(ctx.command_path, "VERB [ID] [OPTIONS]")

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """The options of the form without a verb, then the verbs."""
        start = self.get_command(ctx, START)
        if start is not None:
            inner = start.context_class(start, info_name=START, parent=ctx)
            records = (param.get_help_record(inner) for param in start.get_params(inner))
            with formatter.section("Without a verb"):
                formatter.write_dl([record for record in records if record is not None])
        self.format_commands(ctx, formatter)
