"""A command that is advised means the same hosts as the run that advises it."""

from hypothesis import given
from hypothesis import strategies as st

from fleet.model.registration import RegisterCommand
from fleet.register.decide.host_selection import select_hosts
from tests import build

NAMES = ("cam-1", "cam-2", "tel-1")


def test_without_options_it_is_the_stores_alone() -> None:
    assert (
        RegisterCommand().text(["store-042", "store-043"]) == "fleet register store-042 store-043"
    )


def test_hosts_and_options_are_repeated() -> None:
    again = RegisterCommand(frozenset({"store-042/cam-1"}), set_runtime=True)

    assert again.text(["store-042"]) == "fleet register store-042 --host cam-1 --set-runtime"


def test_a_host_of_one_store_of_several_is_named_with_its_store() -> None:
    again = RegisterCommand(frozenset({"store-042/cam-1", "store-042/tel-1", "store-043/tel-1"}))

    assert again.text(["store-042", "store-043"]) == (
        "fleet register store-042 store-043 --host store-042/cam-1 --host tel-1"
    )


@given(
    stores=st.sets(st.sampled_from(["a", "b", "c"]), min_size=1).map(sorted),
    data=st.data(),
)
def test_typed_it_selects_the_same_hosts(stores: list[str], data: st.DataObject) -> None:
    ids = [f"{store}/{name}" for store in stores for name in NAMES]
    hosts = data.draw(st.frozensets(st.sampled_from(ids), min_size=1))
    shops = [
        build.store(id=id_, hosts=tuple(build.host(name, store=id_) for name in NAMES))
        for id_ in stores
    ]

    words = RegisterCommand(hosts).text(stores).split()

    wanted = [words[i + 1] for i, word in enumerate(words) if word == "--host"]
    assert select_hosts(shops, wanted) == hosts


def test_many_stores_are_chosen_as_they_were_typed() -> None:
    again = RegisterCommand(typed="--all --host tel-1", set_runtime=True)
    many = [f"store-{number}" for number in range(6)]

    assert again.text(many) == "fleet register --all --host tel-1 --set-runtime"
    assert again.text(many[:2]) == "fleet register store-0 store-1 --set-runtime"
