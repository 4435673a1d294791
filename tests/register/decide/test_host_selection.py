"""No host is registered that was not named, and a name that means nothing is an error."""

import pytest

from fleet.errors import EmptySelection, UsageError
from fleet.model.inventory import Store
from fleet.register.decide.host_selection import select_hosts
from tests import build


def shop(id_: str, *names: str) -> Store:
    hosts = tuple(build.host(name, store=id_) for name in names)
    return build.store(id=id_, hosts=hosts)


LEEDS = shop("store-042", "cam-1", "tel-1")
YORK = shop("store-043", "cam-1")
HULL = shop("store-044", "tel-1")


def test_a_bare_name_means_that_host_in_every_named_store_that_has_it() -> None:
    ids = select_hosts([LEEDS, YORK, HULL], ["cam-1"])

    assert ids == {"store-042/cam-1", "store-043/cam-1"}


def test_an_id_means_exactly_that_host_and_not_its_namesakes() -> None:
    assert select_hosts([LEEDS, YORK], ["store-042/cam-1"]) == {"store-042/cam-1"}


def test_names_and_ids_add_up() -> None:
    ids = select_hosts([LEEDS, YORK], ["tel-1", "store-043/cam-1"])

    assert ids == {"store-042/tel-1", "store-043/cam-1"}


def test_a_host_of_a_store_that_was_not_named_is_refused() -> None:
    with pytest.raises(UsageError, match=r"'store-043/cam-1' is not of store-042") as refused:
        select_hosts([LEEDS], ["store-043/cam-1"])

    assert refused.value.hint is not None
    assert "fleet register store-043 --host store-043/cam-1" in refused.value.hint


@pytest.mark.parametrize("word", ["cam-9", "store-043/tel-1", "", "/cam-1", "store-043/"])
def test_a_host_that_none_of_the_stores_has_is_refused(word: str) -> None:
    with pytest.raises(UsageError):
        select_hosts([LEEDS, YORK], [word])


def test_the_nearest_host_is_named() -> None:
    with pytest.raises(UsageError) as refused:
        select_hosts([LEEDS, YORK], ["cam-2"])

    assert refused.value.hint == "hosts there: cam-1"


def test_without_a_host_all_are_meant() -> None:
    assert select_hosts([LEEDS, YORK], []) == frozenset()


def test_stores_without_hosts_are_an_empty_selection() -> None:
    with pytest.raises(EmptySelection, match="store-050: no hosts"):
        select_hosts([build.store(id="store-050", hosts=())], [])
