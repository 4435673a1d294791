"""`fleet render` on the example fleet."""

import json
import shutil
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from fleet.cli.render import render
from fleet.errors import EmptySelection, UsageError

EXAMPLE = Path(__file__).parents[2]
TAG = "111122223333.dkr.ecr.eu-west-1.amazonaws.com/vision:1.9.0"


@pytest.fixture
def inventory(tmp_path: Path) -> Path:
    for name in ("inventory", "templates"):
        shutil.copytree(EXAMPLE / name, tmp_path / name)
    return tmp_path / "inventory"


def run(inventory: Path, *words: str) -> Result:
    app = typer.Typer()
    app.command()(render)
    arguments = [*words, "--inventory", str(inventory)]
    return CliRunner().invoke(app, arguments, catch_exceptions=False)


def tagged(inventory: Path) -> None:
    """Let vision's image be a tag in ECR."""
    file = inventory / "workloads" / "vision.yaml"
    lines = file.read_text().splitlines()
    file.write_text(
        "\n".join(f"    image: {TAG}" if "image: images." in line else line for line in lines)
    )


def test_a_store_shows_every_service_that_it_runs(inventory: Path) -> None:
    result = run(inventory, "store-042")

    assert result.exit_code == 0
    assert "telemetry-amd64 · REPLICA, 1 task" in result.stdout
    assert "vision-arm64 · REPLICA, 1 task" in result.stdout
    assert "lands on    cam-1 (xavier-nx)" in result.stdout


def test_workloads_keep_it_to_some(inventory: Path) -> None:
    document = json.loads(run(inventory, "store-071", "vision", "--json").stdout)

    (service,) = document["services"]
    assert service["service"] == "vision-arm64"
    assert [host["name"] for host in service["hosts"]] == ["cam-1", "cam-2"]
    assert service["create_service"]["desiredCount"] == 2


def test_a_tag_that_ecr_was_not_asked_about_is_said_to_be_unpinned(inventory: Path) -> None:
    tagged(inventory)

    text = run(inventory, "store-042", "vision", "--offline").stdout

    assert f"note  {TAG}: only a plan asks ECR for its digest" in text
    assert f"image       {TAG}, not pinned" in text


def test_where_ecr_cannot_be_asked_it_says_why(
    inventory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tagged(inventory)
    monkeypatch.setenv("FLEET_STATE", str(tmp_path / "state"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))

    text = run(inventory, "store-042", "vision").stdout

    assert "note  ECR could not be asked: " in text
    assert "not pinned" in text


def test_a_planned_store_shows_what_it_will_run(inventory: Path) -> None:
    assert "store-090 is planned" in run(inventory, "store-090").stdout


def test_a_template_that_speaks_of_the_store_is_rendered_for_it(inventory: Path) -> None:
    template = inventory.parent / "templates" / "telemetry.yaml.j2"
    template.write_text(template.read_text().replace("BATCH_SECONDS", "{{ store.id }}", 1))
    template.write_text(template.read_text().replace('"{{ store.id }}"', "{{ store.id }}"))

    document = json.loads(run(inventory, "store-042", "telemetry", "--json").stdout)

    (body,) = [one["register_task_definition"] for one in document["services"]]
    assert body["containerDefinitions"][0]["environment"][0]["name"] == "store-042"
    assert "its template uses store.id" in document["notes"][0]


@pytest.mark.parametrize(
    ("words", "error", "hint"),
    [
        (["store-42"], UsageError, "store-042"),
        (["store-042", "visoin"], UsageError, "did you mean vision?"),
        (["store-058", "vision"], EmptySelection, "fleet inventory show store-058"),
    ],
)
def test_words_that_mean_nothing_name_the_nearest(
    inventory: Path, words: list[str], error: type[UsageError], hint: str
) -> None:
    with pytest.raises(error) as refused:
        run(inventory, *words)

    assert hint in str(refused.value.hint)
