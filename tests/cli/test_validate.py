import json
import shutil
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from fleet.cli.validate import validate

EXAMPLE = Path(__file__).parents[2]


@pytest.fixture
def example(tmp_path: Path) -> Path:
    for name in ("inventory", "templates"):
        shutil.copytree(EXAMPLE / name, tmp_path / name)
    return tmp_path / "inventory"


def run(*arguments: str) -> Result:
    app = typer.Typer()
    app.command()(validate)
    return CliRunner().invoke(app, arguments)


def test_an_inventory_that_is_right_is_one_line(example: Path) -> None:
    result = run("--inventory", str(example))

    assert result.exit_code == 0
    assert result.stdout == (
        "14 stores (12 open, 1 paused, 1 planned), 26 hosts, 2 workloads, "
        "2 task definitions rendered: no problems\n"
    )
    assert result.stderr == ""


def test_what_can_never_be_changed_is_noted(example: Path) -> None:
    path = example / "fleet.yaml"
    written = path.read_text().splitlines(keepends=True)
    path.write_text("".join(line for line in written if "quiet_hours" not in line))

    result = run("--inventory", str(example))
    document = json.loads(run("--inventory", str(example), "--json").stdout)

    assert result.exit_code == 0
    assert result.stderr == (
        "note: store-071, store-207 never close, and policy standard (telemetry, vision) sends "
        'only while a store is closed: give it quiet_hours: "02:00-05:00", between: or '
        "window: always\n"
    )
    assert document["notes"] == [result.stderr.removeprefix("note: ").rstrip("\n")]


def test_every_problem_is_one_line_on_stderr_and_the_end_is_2(example: Path) -> None:
    path = example / "stores" / "uk.yaml"
    path.write_text(
        path.read_text().replace("ring: canary", "rnig: canary\n    lifecycle: opne", 1)
    )

    result = run("--inventory", str(example))

    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr.splitlines() == [
        f'{path}:6: stores.store-011.rnig unknown key "rnig" (did you mean "ring"?)',
        f'{path}:7: stores.store-011.lifecycle "opne" is not one of planned, open, paused, closed '
        '(did you mean "open"?)',
        f"2 problems in {example}",
    ]


def test_problems_of_pins_and_inventory_come_together(example: Path) -> None:
    (example / "pins.yaml").write_text("machins: {}\n")
    (example / "hardware" / "nuc.yaml").write_text("architecture: x86\n")

    result = run("--inventory", str(example))

    assert "pins.yaml:1: machins" in result.stderr
    assert "nuc.yaml:1: architecture" in result.stderr


def test_problems_of_templates_have_file_and_line(example: Path) -> None:
    template = example.parent / "templates" / "telemetry.yaml.j2"
    template.write_text(template.read_text().replace("bridge", "awsvpc"))

    result = run("--inventory", str(example))

    assert result.exit_code == 2
    assert f"{template}:3: networkMode" in result.stderr


def test_the_problems_are_also_a_document(example: Path) -> None:
    (example / "pins.yaml").write_text("machins: {}\n")

    result = run("--inventory", str(example), "--json")
    document = json.loads(result.stdout)

    assert result.exit_code == 2
    assert (document["version"], document["kind"], document["valid"]) == (1, "validate", False)
    assert document["problems"] == [
        {
            "file": str(example / "pins.yaml"),
            "line": 1,
            "path": "machins",
            "message": 'unknown key "machins"',
            "hint": 'did you mean "machines"?',
        }
    ]


def test_a_right_inventory_is_a_valid_document(example: Path) -> None:
    document = json.loads(run("--inventory", str(example), "--json").stdout)

    assert (document["valid"], document["problems"]) == (True, [])
    assert document["notes"] == []


def test_a_folder_that_is_not_there_ends_with_2(tmp_path: Path) -> None:
    result = run("--inventory", str(tmp_path / "nowhere"))

    assert result.exit_code == 2
    assert "there is no such folder" in result.stderr


def test_the_schema_is_printed_without_an_inventory(tmp_path: Path) -> None:
    result = run("--schema", "--inventory", str(tmp_path / "nowhere"))

    assert result.exit_code == 0
    assert "$defs" in json.loads(result.stdout)


def test_agent_settings_that_cannot_be_written_are_a_problem(example: Path) -> None:
    nuc = example / "hardware" / "nuc.yaml"
    text = nuc.read_text().replace("agent_settings:\n", "agent_settings:\n  ECS_CLUSTER: other\n")
    nuc.write_text(text)

    result = run("--inventory", str(example))

    assert result.exit_code == 2
    assert "ECS_CLUSTER" in result.stderr
    assert str(nuc) in result.stderr


def test_problems_of_policies_and_freezes_have_file_and_line(example: Path) -> None:
    path = example / "fleet.yaml"
    text = (
        path.read_text().replace("success: 98%", "success: 98").replace("2027-01-03", "2026-01-03")
    )
    path.write_text(text)

    lines = run("--inventory", str(example)).stderr.splitlines()

    assert 'policies.careful.success "98" is not a share (write 95% or 0.95)' in lines[0]
    assert "freezes.christmas.to ends before it begins" in lines[1]


def test_an_image_that_a_shop_cannot_run_is_a_problem(example: Path) -> None:
    path = example / "workloads" / "vision.yaml"
    path.write_text(path.read_text().replace("platforms: [linux/arm64]", "platforms: linux/amd64"))

    assert "the image holds linux/amd64, not linux/arm64" in run("--inventory", str(example)).stderr


def test_a_template_that_makes_a_body_per_store_is_counted(example: Path) -> None:
    template = example.parent / "templates" / "telemetry.yaml.j2"
    template.write_text(
        template.read_text().replace("{{ batch_seconds | string }}", "{{ store.id }}")
    )

    result = run("--inventory", str(example))

    assert "13 task definitions rendered: no problems" in result.stdout
    assert "note: telemetry-amd64: its template uses store.id, which makes 12" in result.stderr


def test_tags_of_a_template_are_refused(example: Path) -> None:
    template = example.parent / "templates" / "telemetry.yaml.j2"
    template.write_text(template.read_text() + "tags: [{key: a, value: b}]\n")

    assert "fleet tags what it registers" in run("--inventory", str(example)).stderr


def test_a_rule_that_ignores_what_is_no_finding_is_a_problem(example: Path) -> None:
    (example / "ignores.yaml").write_text(
        "ignores:\n"
        "  - {codes: SITE_DRAK, until: 2020-01-31, reason: x}\n"
        "  - {codes: SITE_DARK, until: 2120-01-31, reason: x}\n"
    )

    result = run("--inventory", str(example))

    assert result.exit_code == 2
    first, second, end = result.stderr.splitlines()
    assert first.endswith(
        'ignores.yaml:2: codes there is no finding "SITE_DRAK" (did you mean "SITE_DARK"?)'
    )
    assert "ignores.yaml:3: until 2120-02-01 is more than a year away" in second
    assert end == f"2 problems in {example}"
