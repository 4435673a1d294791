from datetime import UTC, datetime

from fleet.model.drift import Finding, NamedResources
from fleet.model.drift_settings import Severity


def finding(**data: object) -> Finding:
    at = datetime(2026, 11, 24, tzinfo=UTC)
    return Finding(
        "TWIN", Severity.HIGH, "store-1", "tel-1", "", "prod", "eu-west-1", at, True, "", data=data
    )


def test_a_finding_names_the_resources_of_its_data() -> None:
    named = finding(node="mi-1", arns=["a", "b"], keep="c", cluster="store-1").resources

    assert named == NamedResources(
        arns=("a", "b"), keep="c", cluster="store-1", node="mi-1", nodes=("mi-1",)
    )


def test_one_arn_is_all_arns() -> None:
    assert finding(arn="a").resources.arns == ("a",)


def test_counts_are_not_taken_for_ids() -> None:
    assert finding(nodes=990, limit=1000).resources == NamedResources()
