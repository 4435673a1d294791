"""The errors of fleet and their exit codes.

    FleetError                    1   something failed; the message says what and the hint what next
    ├── UsageError                2   the words or files given are wrong; nothing was touched
    │   ├── InventoryError        2   all problems of the inventory at once, each with file:line
    │   └── EmptySelection        2   nothing matched; an empty selection is never a success
    ├── AwsError                  1   AWS answered with an error, or not at all
    │   ├── CredentialsError      2   no, expired or wrong credentials
    │   ├── AccessDenied          1   the caller may not do this; names the missing action
    │   ├── Throttled             1   still throttled after every retry
    │   └── AwsUnreachable        1   no answer within the time allowed; the outcome is unknown
    ├── SshError                  1   a host could not be reached or did not do as told
    │   ├── HostUnreachable       1   no TCP connection, or it was lost
    │   ├── HostKeyUnknown        1   first contact, and new keys were not accepted
    │   ├── HostKeyChanged        1   the key is not the pinned one: refuse, always
    │   ├── LoginRefused          1   the host took none of our keys
    │   └── HostCommandFailed     1   a command ran and failed, or ran out of time
    ├── NotDelivered              1   a message could not be handed over to a channel
    ├── RecordsError              1   the database is locked, full, or of another version
    ├── SandboxError              1   the sandbox is not up, or does not model what was asked
    ├── SendingStopped            4   `fleet stop --all` is in force; nothing was sent
    ├── Locked                    5   another run holds this, since when and who
    │   └── LeaseLost             5   another owner took over; nothing of this write was kept
    └── Interrupted             130   a person stopped it at a safe point

Messages hold no secrets and no terminal control characters: whoever raises cleans what came from
a host or a server first.
"""

from collections.abc import Sequence
from dataclasses import dataclass


class FleetError(Exception):
    """Something failed.

    Attributes:
        hint: what to type or change next, or None when there is nothing useful to say.
        exit_code: what the process ends with when this reaches the top.
    """

    exit_code = 1

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.hint = hint

    @property
    def in_full(self) -> str:
        """Message and hint in one line."""
        return f"{self} ({self.hint})" if self.hint else str(self)


class UsageError(FleetError):
    """The words or files given are wrong; nothing was touched."""

    exit_code = 2


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong in a file.

    Attributes:
        file: path as the person gave it, so that it can be opened from where they stand.
        line: 1-based; 0 when the whole file is meant.
        path: where in the document, as in ``stores[3].link.kind``; "" for the whole document.
        message: what was seen and what was expected.
        hint: the nearest valid spelling or the next step, or None.
    """

    file: str
    line: int
    path: str
    message: str
    hint: str | None = None

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else self.file
        path = f" {self.path}" if self.path else ""
        hint = f" ({self.hint})" if self.hint else ""
        return f"{place}:{path} {self.message}{hint}"


class InventoryError(UsageError):
    """Every problem of the inventory, at once, in file and line order."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(sorted(problems, key=lambda p: (p.file, p.line, p.path, p.message)))
        count = len(self.problems)
        head = f"{count} problem{'' if count == 1 else 's'} in the inventory"
        super().__init__("\n".join([head, *map(str, self.problems)]))


class EmptySelection(UsageError):
    """Nothing matched what was asked for."""


class AwsError(FleetError):
    """AWS answered with an error.

    Attributes:
        operation: as in ``ecs:DescribeClusters``.
        code: AWS's error code, or "" when there was no answer.
        request_id: for a support case, or "".
    """

    def __init__(
        self,
        message: str,
        *,
        operation: str = "",
        code: str = "",
        request_id: str = "",
        hint: str | None = None,
    ) -> None:
        super().__init__(message, hint=hint)
        self.operation = operation
        self.code = code
        self.request_id = request_id


class CredentialsError(AwsError):
    """No, expired or wrong credentials."""

    exit_code = 2


class AccessDenied(AwsError):
    """The caller may not do this."""


class Throttled(AwsError):
    """Still throttled after every retry."""


class AwsUnreachable(AwsError):
    """No answer within the time allowed; whether AWS acted is unknown."""


class SshError(FleetError):
    """A host could not be reached or did not do as told."""


class HostUnreachable(SshError):
    """No TCP connection to the host, or the connection was lost midway."""


class HostKeyUnknown(SshError):
    """First contact with a host, and accepting new keys was not asked for."""


class HostKeyChanged(SshError):
    """The host showed another key than the pinned one."""


class LoginRefused(SshError):
    """The host took none of our keys."""


class HostCommandFailed(SshError):
    """A command ran on the host and failed, or did not end in time.

    Attributes:
        status: its exit status, or None when it was cut off.
        output: the last lines it printed, cleaned for a terminal, without secrets.
    """

    def __init__(
        self, message: str, *, status: int | None = None, output: str = "", hint: str | None = None
    ) -> None:
        super().__init__(message, hint=hint)
        self.status = status
        self.output = output


class NotDelivered(FleetError):
    """A message could not be handed over to a channel of ``notify``.

    Attributes:
        passing: whether the same may work in a moment.
        after_s: seconds after which the receiver asks to be tried again; 0 when it does not say.
    """

    def __init__(
        self, message: str, *, passing: bool = False, after_s: float = 0.0, hint: str | None = None
    ) -> None:
        super().__init__(message, hint=hint)
        self.passing = passing
        self.after_s = after_s


class RecordsError(FleetError):
    """The database is locked, full, unreachable or of another version."""


class SandboxError(FleetError):
    """The sandbox is not up, or does not model what was asked of it."""


class SendingStopped(FleetError):
    """A person has stopped every send of every rollout; nothing was sent."""

    exit_code = 4


class Locked(FleetError):
    """Another run holds this."""

    exit_code = 5


class LeaseLost(Locked):
    """Another owner has taken over what this one worked on; nothing of its write was kept."""


class Interrupted(FleetError):
    """A person stopped the run at a safe point."""

    exit_code = 130
