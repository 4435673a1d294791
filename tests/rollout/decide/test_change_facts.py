"""Which stores are back, by their container instances."""

from dataclasses import replace

from fleet.rollout.decide.change_facts import stores_back
from tests.rollout.decide.tick_states import away, parked, place, view

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
