import pytest

from fleet.model.desired import TaskDefinition
from fleet.model.secret import Secret
from fleet.records.records import Records

ROOT = "arn:aws:ecs:eu-west-1:111122223333:task-definition/vision-arm64"
HERE = ("111122223333", "eu-west-1")


def definition(image: str = "a") -> TaskDefinition:
    return TaskDefinition.of({"family": "vision-arm64", "containerDefinitions": [{"image": image}]})


def test_a_task_definition_comes_back_by_its_arn(records: Records) -> None:
    records.task_definitions.put(*HERE, f"{ROOT}:1", definition())
    assert records.task_definitions.get([f"{ROOT}:1", f"{ROOT}:2"]) == {f"{ROOT}:1": definition()}


def test_thousands_can_be_asked_for_at_once(records: Records) -> None:
    records.task_definitions.put(*HERE, f"{ROOT}:2999", definition())
    assert len(records.task_definitions.get(f"{ROOT}:{n}" for n in range(3000))) == 1


def test_one_that_is_known_stays_as_it_is(records: Records) -> None:
    records.task_definitions.put(*HERE, f"{ROOT}:1", definition())
    records.task_definitions.put(*HERE, f"{ROOT}:1", definition("b"))
    assert records.task_definitions.get([f"{ROOT}:1"]) == {f"{ROOT}:1": definition()}


def test_the_newest_revision_of_a_content_is_found(records: Records) -> None:
    for revision in (9, 10, 2):
        records.task_definitions.put(*HERE, f"{ROOT}:{revision}", definition())
    records.task_definitions.put(*HERE, f"{ROOT}:11", definition("b"))
    assert records.task_definitions.find(*HERE, definition().content) == f"{ROOT}:10"


@pytest.mark.parametrize("where", [("111122223333", "eu-west-2"), ("444455556666", "eu-west-1")])
def test_a_content_is_found_only_in_its_own_account_and_region(
    records: Records, where: tuple[str, str]
) -> None:
    records.task_definitions.put(*HERE, f"{ROOT}:1", definition())
    assert records.task_definitions.find(*where, definition().content) is None


def test_an_arn_without_a_revision_is_refused(records: Records) -> None:
    with pytest.raises(ValueError, match="no revision"):
        records.task_definitions.put(*HERE, ROOT, definition())


def test_a_secret_in_a_body_is_refused(records: Records) -> None:
    hidden = TaskDefinition("f", "c", {"code": Secret("hunter2")})
    with pytest.raises(TypeError, match="Secret"):
        records.task_definitions.put(*HERE, f"{ROOT}:1", hidden)
