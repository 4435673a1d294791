from pathlib import Path

import jinja2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.errors import InventoryError, Problem
from fleet.inventory.document import free, read_yaml
from fleet.release.template_engine import (
    ImageValues,
    RenderedText,
    RenderingCache,
    StoreValues,
    as_json,
    render_text,
    store_values,
    template_environment,
)
from tests import build

# A key of YAML on the line of its value has at most 1,024 characters, and a character may be
# written with twelve; values have no such limit.
KEYS = st.text(max_size=80)
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(KEYS, inner),
    max_leaves=6,
)


def render(folder: Path, text: str, **values: object) -> RenderedText:
    (folder / "a.j2").write_text(text, encoding="utf-8")
    return render_text(template_environment(folder), folder, "a.j2", values)


def refused(folder: Path, text: str, **values: object) -> Problem:
    with pytest.raises(InventoryError) as caught:
        render(folder, text, **values)
    (problem,) = caught.value.problems
    return problem


@given(ANYTHING)
def test_every_value_comes_back_from_yaml_as_it_was(value: object) -> None:
    text = f"a: {as_json(value)}\n"

    assert text.isascii()
    assert free(read_yaml(text, "").value["a"]) == value


def test_text_is_written_with_its_quotes(tmp_path: Path) -> None:
    assert render(tmp_path, "a: {{ x }}", x='say "hi"\n- b: c').text == r'a: "say \"hi\"\n- b: c"'


def test_text_is_joined_inside_an_expression(tmp_path: Path) -> None:
    assert render(tmp_path, 'a: {{ x ~ "-" ~ y }}', x="v", y=2).text == 'a: "v-2"'


def test_a_value_cannot_break_out_of_its_place(tmp_path: Path) -> None:
    rendered = render(tmp_path, "a: {{ x }}\nb: 1", x='"}\nprivileged: true\n#')

    assert set(read_yaml(rendered.text, "").value) == {"a", "b"}


@pytest.mark.parametrize("form", ["x | tojson", "x | safe", "x"])
def test_no_filter_changes_how_a_value_is_quoted(tmp_path: Path, form: str) -> None:
    assert render(tmp_path, "a: {{ %s }}" % form, x='"').text == r'a: "\""'  # noqa: UP031


def test_an_undefined_variable_names_its_line(tmp_path: Path) -> None:
    problem = refused(tmp_path, "a: 1\n\nb: {{ modle }}\n", model="m")

    assert (problem.line, problem.message) == (3, "'modle' is undefined")
    assert problem.hint == 'did you mean "model"?'


def test_an_undefined_variable_in_a_condition_names_its_line(tmp_path: Path) -> None:
    assert refused(tmp_path, "a: 1\n{% if modle %}\n{% endif %}\n").line == 2


def test_an_undefined_image_names_its_line(tmp_path: Path) -> None:
    problem = refused(
        tmp_path, "\na: {{ images.mian }}", images=ImageValues("images", {"main": "x"})
    )

    assert problem.line == 2
    assert problem.message == "'images.mian' is undefined; there is main"


def test_a_name_that_is_also_a_method_is_the_name(tmp_path: Path) -> None:
    assert (
        render(tmp_path, "{{ images.items }}", images=ImageValues("images", {"items": "x"})).text
        == '"x"'
    )


def test_a_syntax_error_names_its_line(tmp_path: Path) -> None:
    assert refused(tmp_path, "a: 1\nb: {{ x\n").line >= 2


def test_an_expression_that_fails_names_its_line(tmp_path: Path) -> None:
    problem = refused(tmp_path, "a: 1\nb: {{ 1 // x }}\n", x=0)

    assert problem.line == 2
    assert "an expression fails" in problem.message


@pytest.mark.parametrize(
    "expression",
    [
        "x.__class__.__mro__",
        "''.__class__.__base__.__subclasses__()",
        "x.append(1)",
        "cycler.__init__.__globals__.os.system('true')",
        "lipsum()",
        "[1, 2] | random",
        "range(10000000) | list",
    ],
)
def test_code_and_chance_are_refused(tmp_path: Path, expression: str) -> None:
    assert refused(tmp_path, "{{ %s }}" % expression, x=[]).file.endswith("a.j2")  # noqa: UP031


def test_a_template_that_renders_to_too_much_is_refused(tmp_path: Path) -> None:
    text = "{% for n in range(90000) %}abcd\n{% endfor %}"

    assert "renders to over" in refused(tmp_path, text).message


def test_another_template_may_be_included_but_no_file_outside(tmp_path: Path) -> None:
    folder = tmp_path / "templates"
    folder.mkdir()
    (folder / "part.j2").write_text("b: {{ x }}\n")
    (tmp_path / "secret").write_text("s")

    assert 'b: "y"' in render(folder, "a: 1\n{% include 'part.j2' %}", x="y").text
    assert "there is no template" in refused(folder, "{% include '../secret' %}").message


def test_every_line_knows_where_it_came_from(tmp_path: Path) -> None:
    (tmp_path / "part.j2").write_text("p: 1\nq: 2\n")
    text = (
        "{# a comment\n   of two lines #}\n"  # 1 2
        "a: 1\n"  # 3
        "{% for n in [1, 2] %}\n"  # 4
        "b{{ n }}: 1\n"  # 5
        "{% endfor %}\n"  # 6
        "{% include 'part.j2' %}\n"  # 7
        "{%- if true %}\n"  # 8
        "c: 1\n"  # 9
        "{%- endif %}\n"  # 10
        "d: 1"  # 11
    )

    rendered = render(tmp_path, text)

    found = {
        line: rendered.origin(number)
        for number, line in enumerate(rendered.text.split("\n"), start=1)
        if line
    }
    assert found == {
        "a: 1": ("a.j2", 3),
        "b1: 1": ("a.j2", 5),
        "b2: 1": ("a.j2", 5),
        "p: 1": ("part.j2", 1),
        "q: 2": ("part.j2", 2),
        "c: 1": ("a.j2", 9),
        "d: 1": ("a.j2", 11),
    }


def test_marks_of_origin_do_not_stay_in_the_text(tmp_path: Path) -> None:
    rendered = render(tmp_path, "a: 1\nb: |\n  one\n  two\n")

    assert rendered.text == "a: 1\nb: |\n  one\n  two\n"


def test_every_word_that_is_read_is_noted_with_what_it_said() -> None:
    used: dict[str, str | None] = {}
    names = StoreValues(store_values(build.store(labels={"market": "uk"})), used)

    assert (names["id"], names["labels"]["market"]) == ("store-042", "uk")
    assert used == {"id": "store-042", "labels.market": "uk"}


def test_what_is_not_there_is_noted_too_and_undefined() -> None:
    used: dict[str, str | None] = {}

    missing = StoreValues({"labels": {}}, used)["labels"]["zone"]

    assert used == {"labels.zone": None}
    with pytest.raises(jinja2.UndefinedError, match=r"'store\.labels\.zone' is undefined"):
        str(missing)


def test_a_label_with_a_dot_in_its_name_is_one_label() -> None:
    memory: RenderingCache[str] = RenderingCache()
    memory.keep({"labels.a.b": "1"}, "made")

    assert memory.find({"labels": {"a.b": "1"}}) == "made"
    assert memory.find({"labels": {"a": {"b": "1"}}}) is None


STORES = st.fixed_dictionaries(
    {
        "id": st.sampled_from("ab"),
        "region": st.sampled_from("xy"),
        "labels": st.dictionaries(st.sampled_from(["m", "n"]), st.sampled_from("12"), max_size=2),
    }
)


def rendered_for(values: dict[str, object], used: dict[str, str | None]) -> str:
    """A template that reads different things of different stores."""
    names = StoreValues(values, used)
    if names["region"] == "x":
        return f"x{names['id']}"
    market = names["labels"]["m"]
    return f"y{market if isinstance(market, str) else 'none'}"


@given(st.lists(STORES, max_size=12))
def test_what_is_remembered_is_what_rendering_would_give(stores: list[dict[str, object]]) -> None:
    memory: RenderingCache[str] = RenderingCache()
    for values in stores:
        used: dict[str, str | None] = {}
        made = rendered_for(values, used)
        assert memory.find(values) in {None, made}
        memory.keep(used, made)
        assert memory.find(values) == made
