import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from fleet.errors import InventoryError, Problem
from fleet.inventory.document import Map, dotted, free, nearest, read_yaml


def problems(text: str) -> tuple[Problem, ...]:
    with pytest.raises(InventoryError) as caught:
        read_yaml(text, "a.yaml")
    return caught.value.problems


def test_scalars_stay_the_text_that_was_written() -> None:
    value = read_yaml("a: no\nb: 09:00\nc: 012345678901\nd: 1.10\n", "a.yaml").value

    assert value == {"a": "no", "b": "09:00", "c": "012345678901", "d": "1.10"}


def test_only_plain_nulls_are_nothing() -> None:
    value = read_yaml("a:\nb: ~\nc: null\nd: ''\ne: 'null'\n", "a.yaml").value

    assert value == {"a": None, "b": None, "c": None, "d": "", "e": "null"}


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("true", True),
        ("no", "no"),
        ("12", 12),
        ("-3", -3),
        ("012", "012"),
        ("1.5", 1.5),
        ("1e3", 1000.0),
        ("09:00", "09:00"),
        ("0x1F", "0x1F"),
        ("1_000", "1_000"),
        ("2027-03-01", "2027-03-01"),
        ("'12'", "12"),
        ("[1, {a: false}]", [1, {"a": False}]),
    ],
)
def test_free_values_are_read_by_yaml_1_2(written: str, meant: object) -> None:
    value = free(read_yaml(f"a: {written}", "a.yaml").value["a"])

    assert (value, type(value)) == (meant, type(meant))


@given(st.dictionaries(st.text(min_size=1), st.text(), max_size=5))
def test_quoted_text_is_read_back_as_it_is(content: dict[str, str]) -> None:
    dumped = yaml.safe_dump(content, default_style='"', allow_unicode=False)
    expected = {key: text for key, text in content.items() if not key.startswith("x-")}

    if "<<" not in content:
        assert read_yaml(dumped, "a.yaml").value == expected


@given(st.text())
def test_any_text_is_read_or_refused_with_a_line(text: str) -> None:
    found: tuple[Problem, ...] = ()
    try:
        read_yaml(text, "a.yaml")
    except InventoryError as error:
        found = error.problems

    assert all(problem.line >= 1 for problem in found)


def test_x_keys_are_set_aside_with_their_values_read() -> None:
    value = read_yaml("a: 1\nx-note: {deep: [2, no]}\n", "a.yaml").value

    assert value == {"a": "1"}
    assert value.extras == {"x-note": {"deep": [2, "no"]}}


def test_x_keys_within_free_values_are_kept() -> None:
    assert free(read_yaml("a: {x-b: 1, c: 2}", "a.yaml").value["a"]) == {"x-b": 1, "c": 2}


def test_a_key_written_twice_names_both_lines() -> None:
    (problem,) = problems("a:\n  b: 1\n  c: 2\n  b: 3\n")

    assert (problem.line, problem.path) == (4, "a.b")
    assert "first in line 2" in problem.message


def test_merge_keys_are_refused_in_favour_of_groups() -> None:
    (problem,) = problems("a: &a {b: 1}\nc:\n  <<: *a\n")

    assert problem.line == 3
    assert "group" in str(problem.hint)


def test_tags_are_refused() -> None:
    (problem,) = problems("a: !!python/object:os.system [ls]\n")

    assert "tag" in problem.message


def test_an_alias_means_what_its_anchor_says() -> None:
    value = read_yaml("a: &h {mon: closed}\nb: *h\n", "a.yaml").value

    assert value["b"] == {"mon": "closed"}


def test_an_alias_that_contains_itself_is_refused() -> None:
    (problem,) = problems("a: &a\n  b: *a\n")

    assert "contains itself" in problem.message


def test_aliases_that_stand_for_too_much_are_refused() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]

    found = problems("\n".join(lines))

    assert {problem.message for problem in found} == {"the aliases of this file stand for too much"}


@pytest.mark.parametrize(
    ("text", "line"),
    [("a: [1\nb: 2\n", 2), ("a: 1\n---\nb: 2\n", 2), ("a: 1\n\tb: 2\n", 2), ("a: 1\nb: \x01\n", 2)],
)
def test_what_is_not_one_yaml_document_is_refused_with_its_line(text: str, line: int) -> None:
    (problem,) = problems(text)

    assert problem.line == line


@pytest.mark.parametrize(
    "text",
    [
        "a:\n" + "[" * 100_000 + "]" * 100_000,
        "a:\n" + "{a: " * 200 + "}" * 200,
        "a:\n" + "- " * 100_000 + "b",
        "\n" + "\n".join(" " * n + "a:" for n in range(100_000, 99_990, -1)),
    ],
    ids=["list", "map", "dashes", "indent"],
)
def test_nesting_beyond_any_sense_is_refused(text: str) -> None:
    (problem,) = problems(text)

    assert (problem.line, problem.message) == (2, "is nested too deeply")


def test_keys_must_be_words() -> None:
    (problem,) = problems("? [a, b]\n: 1\n")

    assert "key must be a word" in problem.message


def test_an_empty_file_holds_nothing() -> None:
    assert read_yaml("# only a comment\n", "a.yaml").value is None


def test_the_line_of_a_path_is_that_of_its_deepest_written_part() -> None:
    document = read_yaml("a:\n  b:\n    - c: 1\n    - d: 2\n", "a.yaml")

    assert [document.line(path) for path in [("a",), ("a", "b", 1), ("a", "b", 1, "nope")]] == [
        1,
        4,
        4,
    ]


def test_a_mapping_knows_the_line_of_its_key() -> None:
    value = read_yaml("a: 1\nb:\n  c: 2\n", "a.yaml").value["b"]

    assert isinstance(value, Map)
    assert value.line == 2


def test_paths_read_as_people_write_them() -> None:
    assert dotted(("containerDefinitions", 0, "memory")) == "containerDefinitions[0].memory"


def test_the_hint_is_the_nearest_word_or_the_few_there_are() -> None:
    assert nearest("regon", ["region", "ring"]) == 'did you mean "region"?'
    assert nearest("zzz", ["b", "a"]) == "one of: a, b"
    assert nearest("zzz", [str(n) for n in range(50)]) is None


def test_a_key_may_carry_an_anchor_and_be_an_alias() -> None:
    value = read_yaml("a: &word b\n&key c: 1\n*word : *key\n", "a.yaml").value

    assert value == {"a": "b", "c": "1", "b": "c"}


def test_an_alias_without_an_anchor_is_refused() -> None:
    (problem,) = problems("a: 1\nb: *a\n")

    assert (problem.line, problem.message) == (2, "is not YAML: found undefined alias 'a'")


def test_an_anchor_that_is_there_twice_is_refused() -> None:
    (problem,) = problems("a: &x 1\nb: &x 2\n")

    assert (problem.line, problem.path) == (2, "b")
