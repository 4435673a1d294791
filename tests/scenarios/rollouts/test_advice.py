"""Every command that is proposed is typed as it stands: none is refused, each does what it says.

Each state is brought about, and its screens are asked for the commands that they propose. Those
that only look are typed there, one after the other. Each one that sends, or moves the rollout, is
typed in shops of its own that were brought into the same state. boto3 reads what AWS was told.
"""

import re
import shlex
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import pytest

from tests.rollout.view.test_next_steps_hold import REFUSED as DID_NOTHING
from tests.scenarios.conftest import Ran
from tests.scenarios.rollouts.conftest import Shops, TakeShops
from tests.scenarios.rollouts.foreground import HALTED, INTERRUPTED, LOCKED, REFUSED, WAITS, sends

SHOPS = 4
#: The first two shops, of both variants; then the other two.
TWO_WAVES: dict[str, Any] = {"canary": 2, "waves": ["100%"], "concurrency": "100%"}
#: What commands ask before they do it.
ASKS = frozenset({"rollback", "start"})
VERBS = frozenset({"resume", "promote", "retry", "abort", "rollback", "skip", "pause"})
#: To how many shops a command says that it sends the release.
TO_SEND = re.compile(r"(?:send it to|go on with|send the release to|wait for) (?:[\w ]+: )?(\d+)")

Bring = Callable[[Shops], None]
STATES: dict[str, Bring] = {}


def state(bring: Bring) -> Bring:
    """Enter a state in the table, by the words of its function."""
    STATES[bring.__name__.replace("_", " ")] = bring
    return bring


@state
def halted_after_the_canary(shops: Shops) -> None:
    shops.policy(**TWO_WAVES)
    shops.behave(shops.release("1.9.0"), run="crash")
    assert shops.roll("--canary").code == HALTED


@state
def done_and_owed(shops: Shops) -> None:
    away = shops.stores[-1]
    shops.policy(waves=["100%"], concurrency="100%")
    shops.release("1.9.0")
    shops.cut(away)
    shops.pass_time(600)
    assert shops.roll().code == 0
    shops.restore(away)
    shops.pass_time(600)


@state
def done_with_an_accepted_failure(shops: Shops) -> None:
    shops.policy(**TWO_WAVES)
    image = shops.release("1.9.0")
    shops.behave(image, run="crash")
    assert shops.roll("--canary").code == HALTED
    shops.behave(image)
    assert shops.fleet("rollout", "resume").code == 0


@state
def asking_about_an_alarm(shops: Shops) -> None:
    shops.policy(alarms=["misspelt-{store}"], waves=["100%"], concurrency="100%")
    shops.release("1.9.0")
    assert shops.roll().code == HALTED


@state
def waiting_for_promote(shops: Shops) -> None:
    shops.policy(**TWO_WAVES, after_canary="promote")
    shops.release("1.9.0")
    assert shops.roll("--canary").code == WAITS


@state
def rolled_back(shops: Shops) -> None:
    halted_after_the_canary(shops)
    assert shops.fleet("rollout", "rollback", "--yes").code == 0


@state
def aborted(shops: Shops) -> None:
    halted_after_the_canary(shops)
    assert shops.fleet("rollout", "abort").code == 0


@state
def rebuilt(shops: Shops) -> None:
    waiting_for_promote(shops)
    shutil.rmtree(shops.folder / ".fleet")
    assert shops.fleet("state", "rebuild").code == 0


@state
def stopped_for_all(shops: Shops) -> None:
    done_and_owed(shops)
    assert shops.fleet("stop", "--all", "it loses receipts").code == 0


@dataclass(frozen=True, slots=True)
class Proposed:
    """A command as a screen proposes it.

    Attributes:
        what: what the screen says that it does; "" where it says nothing.
    """

    words: str
    sends: bool
    accepts: str
    what: str = ""

    @property
    def moves(self) -> bool:
        """Whether the state is another one afterwards, and other commands are proposed."""
        return self.sends or bool(VERBS & {*self.words.split()})


def proposed(shops: Shops) -> Mapping[str, Proposed]:
    """Commands of the screens of this state: rollout, first store that is not ok, drift.

    By their words without the names of shops; one for all shops of which the same is said.
    """
    status = shops.status()
    found = [*status["commands"]]
    bad = [c["store"] for c in status["changes"] if c["stands"] not in {"ok", "to send"}]
    for store in bad[:1]:
        found += shops.status("--store", store)["commands"]
    drift = shops.fleet("drift", "--json")
    found += [c for finding in drift.document["findings"] for c in finding["commands"]]
    every = [Proposed(**command) for command in found]
    typed = [one for one in reversed(every) if one.words.startswith("fleet ")]
    return {re.sub(r"roll-\d+", "SHOP", one.words): one for one in typed}


def type_in(shops: Shops, one: Proposed) -> Ran:
    words = shlex.split(one.words)[1:]
    starts = words[0] == "rollout" and words[1] not in VERBS
    asks = one.sends and (starts or bool(ASKS & {*words}))
    return shops.fleet(*words, *(["--yes"] if asks else []))


def told_to_aws(shops: Shops) -> Mapping[str, Any]:
    """What services are told to run, and how often they were told since the shops were taken."""
    told = ("taskDefinition", "desiredCount", "tags")
    services = {store: shops.service(store) for store in shops.stores}
    runs = {store: [one[key] for key in told] for store, one in services.items()}
    return {**runs, "sends": sends(shops)}


def was_not_refused(shops: Shops, one: Proposed, ran: Ran) -> None:
    assert ran.code not in {REFUSED, LOCKED, INTERRUPTED}, (one, ran.code, ran.err)
    verb = shlex.split(one.words)[2:3]
    if set(verb) & VERBS:
        answer = shops.status(one.words.split()[3])["verbs"][-1]["answer"]
        assert answer, one
        assert not answer.startswith(DID_NOTHING), (one, answer)
        if verb == ["resume"] and one.accepts:
            assert "accepted" in answer or "recalled" in one.accepts, (one, answer)
        if verb == ["resume"] and not one.accepts:
            assert "accepted" not in answer, (one, answer)


def did_what_it_says(shops: Shops, one: Proposed, before: list[int]) -> None:
    words = shlex.split(one.words)
    told = [b > a for a, b in zip(before, sends(shops), strict=True)]
    got = {store for store, is_told in zip(shops.stores, told, strict=True) if is_told}
    named = {word for option, word in pairwise(words) if option == "--store"}
    assert got <= (named or set(shops.stores)), (one, got)
    if "rollback" in words:
        back = named or set(shops.stores)
        assert {shops.runs(store) for store in back} == {"1.8.3"}, one
    elif {"abort", "skip", "start"} & {*words}:
        assert not got, (one, got)
    else:
        assert got, one
    promised = TO_SEND.search(one.what)
    if promised:
        assert len(got) == int(promised[1]), (one, got)


def check(take: TakeShops, name: str, only: str = "") -> None:
    """Type every command of a state; of those that move it all, or the one of this verb."""
    shops = take(SHOPS)
    STATES[name](shops)
    commands = proposed(shops)
    assert commands, "a state proposes something"
    before = told_to_aws(shops)
    for one in commands.values():
        if one.moves or " watch " in one.words:
            continue
        was_not_refused(shops, one, type_in(shops, one))
        assert told_to_aws(shops) == before, one
    moving = [kind for kind, one in commands.items() if one.moves and only in kind]
    for number, kind in enumerate(moving):
        if number:
            shops = take(SHOPS)
            STATES[name](shops)
            commands = proposed(shops)
        one, sent = commands[kind], sends(shops)
        was_not_refused(shops, one, type_in(shops, one))
        did_what_it_says(shops, one, sent)


@pytest.mark.long
def test_what_is_proposed_after_a_halt_can_be_typed_and_does_what_it_says(take: TakeShops) -> None:
    check(take, "halted after the canary", only="resume")


@pytest.mark.long
@pytest.mark.parametrize("name", list(STATES))
def test_what_is_proposed_can_be_typed_and_does_what_it_says(take: TakeShops, name: str) -> None:
    check(take, name)
