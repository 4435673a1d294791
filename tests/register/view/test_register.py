"""A run as it is read, at the widths it is read at."""

import io
from dataclasses import replace
from typing import Any

from rich.console import Console, RenderableType

from fleet.model.inventory import Pins
from fleet.model.observed import HostFacts
from fleet.model.registration import (
    ActivationCount,
    HostClass,
    HostOutcome,
    HostResult,
    RegisterCommand,
    RegisterResult,
    StoreRegistration,
)
from fleet.register.decide.preflight import CHECKS
from fleet.register.decide.registration import RegistrationFacts, UnreadHost, decide_registration
from fleet.register.view.register import (
    registrations_document,
    registrations_view,
    result_document,
    result_view,
    stores_lines,
)
from tests import build


def shown(view: RenderableType, width: int) -> str:
    console = Console(file=io.StringIO(), width=width, no_color=True, highlight=False)
    console.print(view)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def plan_of(**boxes: HostFacts | UnreadHost) -> StoreRegistration:
    hosts = [build.host(name.replace("_", "-")) for name in boxes]
    shop = build.store(*hosts)
    facts = {name.replace("_", "-"): box for name, box in boxes.items()}
    return decide_registration(
        RegistrationFacts(build.fleet(shop), shop, hosts, facts, build.empty_ledgers(), Pins(), {})
    )


def one_refused() -> RegisterResult:
    plan = plan_of(
        tel_1=build.bare_facts(),
        tel_2=build.bare_facts(machine_id="22222222222222222222222222222222", disk_free_mb=3174),
    )
    good, bad = plan.hosts
    return RegisterResult(
        "reg-7f3a",
        (plan.store,),
        (
            HostResult(good, HostOutcome.REGISTERED, f"{build.MI}, ACTIVE, connected", "", 161.0),
            HostResult(bad, HostOutcome.REFUSED, "preflight: disk", "", 0.0),
        ),
        ActivationCount(created=1, deleted=1),
    )


def test_the_summary_has_a_row_per_host_one_cause_and_the_next_command() -> None:
    text = shown(result_view(one_refused(), 120, ".fleet/logs/reg-7f3a/"), 120)

    assert f"tel-1  fresh  {len(CHECKS)} ok" in text
    assert "registered  2m41s" in text
    assert "host unchanged, no activation created" in text
    assert 'tel-2  FAIL disk  / has 3.1 GB free, hardware "nuc" needs 4 GB' in text
    assert "    fix  free 0.9 GB on the host" in text
    assert "Activations: 1 created, 1 deleted, 0 open." in text
    assert "1 of 2 hosts registered. PARTIAL: store-042." in text
    assert "next  fix the above, then fleet register store-042 (1 healthy left alone)" in text


def test_in_a_narrow_terminal_nothing_is_cut() -> None:
    text = shown(result_view(one_refused(), 40, "log/"), 40)

    assert "…" not in text
    assert "  result" in text
    assert max(map(len, text.splitlines())) <= 40


def test_an_activation_left_open_is_named() -> None:
    result = one_refused()
    left = RegisterResult(
        result.run_id, result.stores, result.hosts, ActivationCount(1, 0, ("act-5",))
    )

    assert "Left open: act-5; the next run deletes them." in shown(result_view(left, 120, ""), 120)


def test_the_document_says_what_the_screen_says() -> None:
    document = result_document(one_refused())

    assert (document["version"], document["kind"]) == (1, "register")
    outcomes = {h["host"]: h["outcome"] for h in document["hosts"]}
    assert outcomes == {"tel-1": "registered", "tel-2": "refused"}
    disk: dict[str, Any] = next(c for c in document["hosts"][1]["checks"] if c["name"] == "disk")
    assert disk["result"] == "fail"


def test_a_plan_names_every_step_with_its_reason() -> None:
    text = shown(registrations_view([plan_of(tel_1=build.bare_facts())], 200), 200)

    assert "create cluster store-042 (cluster store-042 does not exist)" in text
    assert "create an activation: 1 node, short expiry, deleted once used" in text
    assert "install and register (nothing of ECS Anywhere is installed)" in text


def test_a_host_that_cannot_be_reached_is_planned_as_such() -> None:
    dark = UnreadHost(HostClass.UNREACHABLE, "no answer within 15 s", "is the link up?")
    plan = plan_of(tel_1=dark)

    text = shown(registrations_view([plan], 120), 120)

    assert "unreachable" in text
    assert "no answer within 15 s" in text
    assert "is the link up?" in text
    assert registrations_document([plan])["stores"][0]["hosts"][0]["steps"] == []


def result_of(outcome: HostOutcome, **more: Any) -> RegisterResult:
    plan = plan_of(tel_1=build.bare_facts())
    host = HostResult(plan.hosts[0], outcome, "why", "do this", **more)
    return RegisterResult("reg-7f3a", (plan.store,), (host,), ActivationCount())


def test_a_failed_host_shows_how_long_it_took_and_the_node_it_became() -> None:
    result = result_of(HostOutcome.FAILED, seconds=0.4, managed_instance_id=build.MI)

    text = shown(result_view(result, 120, "log/"), 120)

    assert f"failed  0s    {build.MI}, why" in text


def test_a_host_that_took_no_time_has_none() -> None:
    assert "refused  -     host unchanged" in shown(
        result_view(result_of(HostOutcome.REFUSED), 120, "log/"), 120
    )


def test_a_host_that_another_run_holds_is_waited_for_and_not_fixed() -> None:
    text = shown(result_view(result_of(HostOutcome.LOCKED), 120, "log/"), 120)

    assert "tel-1  why\n    fix  do this\n" in text
    assert "next  once the other run has ended, fleet register store-042\n" in text


def test_the_next_command_repeats_what_the_run_was_kept_to() -> None:
    again = RegisterCommand(frozenset({"store-042/tel-1"}), set_runtime=True)

    text = shown(result_view(result_of(HostOutcome.FAILED), 120, "log/", again), 120)

    assert "fleet register store-042 --host tel-1 --set-runtime\n" in text


def test_an_activation_that_may_be_open_is_said_though_nobody_knows_its_id() -> None:
    result = replace(one_refused(), activations=ActivationCount(1, 1, unsure=1))

    text = shown(result_view(result, 300, ""), 300)

    assert "AWS's answer was lost 1 time and nothing was found" in text
    assert result_document(result)["activations"]["unsure"] == 1


def many_stores(hosts_each: int = 1, stores: int = 6) -> RegisterResult:
    """Six stores: in two of them a disk is full, in two the link is down, two are healthy."""
    shops = []
    results = []
    for number in range(stores):
        id_ = f"store-{number}"
        hosts = tuple(build.host(f"tel-{n}", store=id_) for n in range(hosts_each))
        shop = build.store(id=id_, hosts=hosts)
        shops.append(shop)
        facts: dict[str, HostFacts | UnreadHost] = {
            host.name: build.bare_facts(
                machine_id=f"{number:016x}{n:016x}",
                disk_free_mb=3174 if number in {1, 2} else 40960,
            )
            for n, host in enumerate(hosts)
        }
        plan = decide_registration(
            RegistrationFacts(
                build.fleet(shop), shop, hosts, facts, build.empty_ledgers(), Pins(), {}
            )
        )
        for one in plan.hosts:
            if number in {1, 2}:
                results.append(HostResult(one, HostOutcome.REFUSED, "preflight: disk"))
            elif number in {3, 4}:
                reason = f"no answer from {one.host.address}"
                results.append(HostResult(one, HostOutcome.FAILED, reason, "is the link up?"))
            else:
                results.append(HostResult(one, HostOutcome.REGISTERED, "ACTIVE"))
    return RegisterResult("reg-7f3a", tuple(shops), tuple(results), ActivationCount())


def test_many_stores_are_one_table_and_what_went_wrong_by_cause() -> None:
    text = shown(result_view(many_stores(), 120, "log/", RegisterCommand(typed="--all")), 120)

    assert "store-1/tel-0  fresh" in text
    assert text.count("HOST") == 1
    assert '2 x FAIL disk  / has 3.1 GB free, hardware "nuc" needs 4 GB\n' in text
    assert "2 x failed  no answer from tel-0.store-3.shops.example\n" in text
    assert "    on   store-3/tel-0, store-4/tel-0\n" in text
    assert "    fix  is the link up?\n" in text
    assert "fleet register store-1 store-2 store-3 store-4 (2 healthy left alone)" in text


def test_of_very_many_hosts_only_those_with_something_to_do_have_a_row() -> None:
    text = shown(result_view(many_stores(hosts_each=10), 120, "log/"), 120)

    assert "not listed: 20 registered" in text
    assert "store-0/tel-0" not in text
    assert "on   store-1/tel-0, store-1/tel-1, store-1/tel-2, store-1/tel-3 and 16 more" in text


def test_what_many_healthy_stores_leave_to_do_is_not_a_list_of_them() -> None:
    good = many_stores()
    hosts = tuple(replace(one, outcome=HostOutcome.ALREADY) for one in good.hosts)

    text = shown(result_view(replace(good, hosts=hosts), 120, "log/"), 120)

    assert "next  fleet status\n" in text


def test_the_causes_are_in_the_document_too() -> None:
    (first, second) = result_document(many_stores())["causes"]

    assert (first["name"], first["hosts"]) == ("FAIL disk", ["store-1/tel-0", "store-2/tel-0"])
    assert (second["name"], second["fix"]) == ("failed", "is the link up?")


def test_many_stores_are_said_by_place() -> None:
    assert stores_lines(many_stores().stores, "reg-1") == [
        "6 stores · run reg-1",
        "emea-prod/eu-west-1 · 6 stores, 6 hosts",
    ]
    assert "store-0 Leeds Briggate" in stores_lines(many_stores().stores[:2], "reg-1")[0]
