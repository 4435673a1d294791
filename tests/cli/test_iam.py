import json
from pathlib import Path

from typer.testing import CliRunner

from fleet.aws.iam import policy_for
from fleet.cli.main import app
from fleet.errors import UsageError
from fleet.model.aws_actions import Sender

INVENTORY = Path(__file__).resolve().parents[2] / "inventory"


def test_the_policy_of_a_command_is_printed() -> None:
    ran = CliRunner().invoke(app, ["iam", "drift"])
    assert json.loads(ran.stdout) == policy_for(Sender.DRIFT)


def test_the_policy_of_an_account_names_it() -> None:
    words = ["iam", "register", "--account", "emea-prod", "--inventory", str(INVENTORY)]
    ran = CliRunner().invoke(app, words)
    assert json.loads(ran.stdout) == policy_for(
        Sender.REGISTER, account_id="111122223333", instance_role="ecsAnywhereRole"
    )


def test_an_account_that_the_inventory_does_not_have_is_refused() -> None:
    words = ["iam", "drift", "--account", "nowhere", "--inventory", str(INVENTORY)]
    ran = CliRunner().invoke(app, words)
    assert isinstance(ran.exception, UsageError)
    assert "emea-prod" in str(ran.exception.hint)


def test_a_command_that_calls_no_aws_is_refused() -> None:
    assert CliRunner().invoke(app, ["iam", "validate"]).exit_code == 2
