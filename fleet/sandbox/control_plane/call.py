"""One call in progress: who asks what, where, when."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from fleet.sandbox.agents.session import AwsFault
from fleet.sandbox.control_plane.fields import Fields
from fleet.sandbox.control_plane.pages import BadToken, page, query_mark
from fleet.sandbox.control_plane.region_state import RegionState
from fleet.sandbox.control_plane.world import World


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls, as the credentials say.

    Attributes:
        account: "" for an unsigned call.
        arn: what STS would answer.
        managed_instance_id: of the node whose credentials these are, or "".
    """

    account: str
    arn: str
    managed_instance_id: str = ""

    @property
    def user_id(self) -> str:
        """A stable unique id of the role and session, as STS shows it."""
        role, _, session = self.arn.partition("assumed-role/")[2].partition("/")
        digest = hashlib.sha256(f"{self.account}/{role}".encode()).hexdigest()[:17].upper()
        return f"AROA{digest}:{session}"


@dataclass(frozen=True, slots=True)
class Call:
    """What an operation is given.

    Attributes:
        state: the account and region that it acts in.
        now: epoch seconds of the sandbox.
    """

    fields: Fields
    state: RegionState
    caller: Caller
    now: float
    world: World
    endpoint: str

    def page(
        self,
        keys: Sequence[str],
        *,
        most: int,
        least: int = 1,
        default: int,
        style: str = "maxResults",
        falling: bool = False,
    ) -> tuple[Sequence[str], dict[str, str]]:
        """One page of sorted keys, and the part of the answer that leads to the next.

        Args:
            keys: everything that matches, sorted.
            most: largest page size allowed.
            least: smallest.
            default: size when none was asked for.
            style: ``maxResults`` (ECS) or ``MaxResults`` (SSM).
            falling: whether the keys are sorted from the last to the first.
        """
        token_name = "nextToken" if style == "maxResults" else "NextToken"
        size = self.fields.integer(style, least, most, default)
        mark = query_mark(self.fields.action, self.fields.question(style, token_name))
        try:
            part, after = page(keys, size, self.fields.text(token_name), mark, falling=falling)
        except BadToken as error:
            code = "InvalidNextToken" if style == "MaxResults" else "InvalidParameterException"
            raise AwsFault(code, "The specified token is not valid for this request.") from error
        return part, {token_name: after} if after else {}


Operation = Callable[[Call], dict[str, Any]]
