import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.inventory.csv_stores import read_table
from fleet.inventory.files import Problems
from fleet.inventory.loader import load_fleet
from fleet.model.hours import Powered
from fleet.model.inventory import Link, Store
from tests.inventory.conftest import FLEET, Inventory


def stores(inventory: Inventory, text: str) -> tuple[Store, ...]:
    inventory.write("stores/all.yaml", "stores: {}")
    inventory.write("stores/more.csv", text)
    return load_fleet(inventory.root).stores


def test_a_row_is_a_store_with_every_column(inventory: Inventory) -> None:
    (store,) = stores(
        inventory,
        "id,name,cluster,account,region,time_zone,hours,ring,lifecycle,groups,labels,link,hosts,"
        "attributes,x-cost\n"
        's-1,"Leeds, Briggate",c-1,two,us-east-1,Asia/Singapore,mon-fri 08:00-22:00; sun closed,'
        "canary,paused,lte,market=uk;format=big,carrier=ee,tel-1:nuc;tel-2:nuc:10.0.0.2,a=b,4711\n",
    )

    assert (store.id, store.name, store.cluster) == ("s-1", "Leeds, Briggate", "c-1")
    assert (store.account.name, store.region) == ("two", "us-east-1")
    assert (store.time_zone, set(store.hours)) == ("Asia/Singapore", set(range(5)))
    assert (store.ring, str(store.lifecycle)) == ("canary", "paused")
    assert store.labels == {"market": "uk", "format": "big"}
    assert (store.link.kind, store.link.carrier) == ("lte", "ee")
    assert [(host.name, host.address) for host in store.hosts] == [
        ("tel-1", "tel-1.s-1.example"),
        ("tel-2", "10.0.0.2"),
    ]
    assert store.hosts[0].attributes == {"a": "b"}
    assert store.extras == {"x-cost": "4711"}


def test_an_empty_cell_inherits(inventory: Inventory) -> None:
    (store,) = stores(inventory, "id,lifecycle,time_zone,link\ns-1,planned,,\n")

    assert (store.time_zone, store.link) == ("Europe/London", Link())


@pytest.mark.parametrize(
    ("rows", "path"),
    [
        ("id,lifecycle,ring\ns-1,planned,canray\n", "s-1.ring"),
        ("id,lifecycle,ring,groups\ns-1,planned,canary,lt\n", "s-1.groups"),
    ],
)
def test_a_ring_or_group_that_is_not_written_in_fleet_yaml_is_refused(
    inventory: Inventory, rows: str, path: str
) -> None:
    inventory.write("fleet.yaml", f"{FLEET}\nrings: [canary, standard]\n")
    inventory.write("stores/more.csv", rows)

    problem = inventory.problem()

    assert (problem.path, problem.line) == (path, 2)
    assert "there is no" in problem.message


def test_a_row_says_when_its_hosts_have_power(inventory: Inventory) -> None:
    (store,) = stores(inventory, "id,hosts,powered\ns-1,tel-1:nuc,opening-hours\n")

    assert store.hosts[0].powered is Powered.OPENING_HOURS


def test_one_word_of_link_is_its_kind(inventory: Inventory) -> None:
    (store,) = stores(inventory, "id,lifecycle,link\ns-1,planned,dsl\n")

    assert store.link == Link("dsl")


def test_an_address_may_be_ipv6(inventory: Inventory) -> None:
    (store,) = stores(inventory, "id,hosts\ns-1,tel-1:nuc:fd00::7\n")

    assert store.hosts[0].address == "fd00::7"


def test_comments_and_empty_lines_keep_the_line_numbers(inventory: Inventory) -> None:
    (store,) = stores(inventory, '# "stores\nid,hosts\n\n# more\ns-1,tel-1:nuc\n')

    assert (store.source.line, store.hosts[0].source.line) == (5, 5)


def test_a_cell_with_a_line_break_keeps_the_line_numbers(inventory: Inventory) -> None:
    first, second = stores(
        inventory, 'id,lifecycle,x-note\ns-1,planned,"two\nlines"\ns-2,planned,\n'
    )

    assert (first.source.line, second.source.line) == (2, 4)


def test_a_table_from_a_spreadsheet_has_a_byte_order_mark_and_crlf(inventory: Inventory) -> None:
    (store,) = stores(inventory, "\ufeffid,lifecycle\r\ns-1,planned\r\n")

    assert store.id == "s-1"


@pytest.mark.parametrize(
    ("text", "line", "path", "message"),
    [
        ("id,lifecycle\ns-1,opne\n", 2, "s-1.lifecycle", "is not one of"),
        ("id,hours\n\ns-1,sometimes\n", 3, "s-1.hours", "no span given"),
        ("id,nmae\ns-1,x\n", 1, "nmae", 'unknown column "nmae"'),
        ("id,name,name\ns-1,x,y\n", 1, "name", "there twice"),
        ("name\nx\n", 1, "id", 'the column "id" is missing'),
        ("id;name\ns-1;x\n", 1, "", "separated by ';'"),
        ("id,name\ns-1,x,y\n", 2, "s-1", "the row has 3 cells, the header has 2"),
        ("id,name\ns-1\n", 2, "s-1", "the row has 1 cells, the header has 2"),
        ("id,name\n,x\n", 2, "id", "the row has no id"),
        ("id,lifecycle\na,planned\na,planned\n", 3, "a", "first in line 2"),
        ("id,labels\na,market\n", 2, "a.labels", '"market" is not name=value'),
        ("id,labels\na,m=1;m=2\n", 2, "a.labels", '"m" is written twice'),
        ("id,hosts\na,cam-1\n", 2, "a.hosts", '"cam-1" is not name:hardware'),
        ("id,hosts\na,c:nuc;c:nuc\n", 2, "a.hosts", 'the host "c" is written twice'),
        ("id,hosts\na,c:nuk\n", 2, "a.hosts.c.hardware", 'there is no hardware "nuk"'),
        ("id,link\na,metred=true\n", 2, "a.link.metred", 'unknown key "metred"'),
        ('id,name\na,"x\n', 0, "", "is not CSV"),
        ("", 0, "", "has no header line"),
        ("# nothing\n", 0, "", "has no header line"),
        ("id,lifecycle\nStore 1,planned\n", 2, "Store 1", "is not an id"),
    ],
)
def test_a_mistake_names_line_and_column(
    inventory: Inventory, text: str, line: int, path: str, message: str
) -> None:
    inventory.write("stores/more.csv", text)

    problem = inventory.problem()

    assert problem.file.endswith("more.csv")
    assert (problem.line, problem.path) == (line, path)
    assert message in problem.message


def test_all_wrong_rows_are_named(inventory: Inventory) -> None:
    rows = "".join(f"s-{n},opne\n" for n in range(20))
    inventory.write("stores/more.csv", f"id,lifecycle\n{rows}")

    assert [problem.line for problem in inventory.problems()] == list(range(2, 22))


@given(st.text())
def test_any_text_is_a_table_or_a_problem(text: str) -> None:
    problems = Problems()

    document = read_table(text, "s.csv", problems)

    assert isinstance(document.value["stores"], dict)


def test_a_weight_is_a_column_and_an_empty_cell_is_none(inventory: Inventory) -> None:
    first, second = stores(inventory, "id,lifecycle,weight\ns-1,planned,2.5\ns-2,planned,\n")

    assert (str(first.weight), second.weight) == ("2.5", None)
