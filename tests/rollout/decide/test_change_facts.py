"""Which stores are back, by their container instances."""

from dataclasses import replace

from fleet.model.changes import HostContact, ObservedChange
from fleet.rollout.decide.change_facts import absence_counts_from, hosts_seen, stores_back
from tests.rollout.decide import verdicts
from tests.rollout.decide.tick_states import after, away, opening, parked, place, sent, view

STORE = "store-042"


def test_a_store_is_back_when_its_hosts_were_seen_to_be_connected() -> None:
    places = {STORE: place()}
    assert stores_back([parked()], {STORE: view()}, places) == {STORE}
    assert stores_back([parked()], {STORE: away()}, places) == set()


def test_a_store_that_could_not_be_read_is_not_back() -> None:
    places = {STORE: place()}
    unread = view(problem="no answer")
    for seen in ({}, {STORE: unread}, {STORE: replace(view(), instances=None)}):
        assert stores_back([parked()], seen, places) == set()


def test_an_absence_counts_from_the_first_host_that_should_be_there() -> None:
    off = place(hours=opening(40000, 30), off_when_closed=("cam-1",))
    cam, tel = (HostContact(connected=False, away_since=after(at)) for at in (40, 50))
    here = HostContact(connected=True)
    for hosts, where, counts in (
        ({"cam-1": cam, "tel-1": here}, off, after(40000)),
        ({"cam-1": cam, "tel-1": tel}, off, after(50)),
        ({}, off, after(40000)),
        ({}, place(), after(40)),
    ):
        row = sent(away_since=after(40), observed=ObservedChange(hosts=hosts))
        assert absence_counts_from(row, where, 300.0) == counts
    assert absence_counts_from(sent(), off, 300.0) is None


def test_no_time_passes_between_two_looks_at_one_moment() -> None:
    got = verdicts.look(verdicts.change(), verdicts.view({"at": 0, "tasks": []}))
    assert got.change.observed.hosts["cam-1"].tried_s == 0.0


def test_of_more_hosts_than_tasks_those_that_are_here_count() -> None:
    hosts = {"cam-1": {"connected": False}, "cam-2": {}}
    seen = verdicts.view({"at": 100, "tasks": [], "hosts": hosts})
    (host,) = hosts_seen(verdicts.change(), seen, verdicts.place("cam-1", "cam-2"))
    assert host.name == "cam-2"
