from fleet.aws.service_deployments import read_service_deployments
from fleet.aws.session import Shard
from tests.aws import bodies
from tests.aws.canned import Canned, reply
from tests.aws.conftest import Open
from tests.sandbox.control_plane.works import STORE, Shops, configuration


def test_records_of_deployments_name_their_target_and_who_ended_them(
    shard: Shard, shops: Shops
) -> None:
    shops.fate["vision:2"] = "crash"
    shops.host()
    shops.create(deploymentConfiguration=configuration(count=1))
    shops.settle()
    bad = shops.definition("vision:2")
    shops.update(taskDefinition=bad)
    shops.settle(300)
    newest, first = read_service_deployments(shard, STORE, "vision").value
    assert (newest.task_definition, newest.breaker) == (bad, "TRIGGERED")
    assert newest.status.startswith("ROLLBACK")
    assert newest.failures >= 1
    assert newest.reason
    assert (first.status, first.task_definition == bad) == ("SUCCESSFUL", False)


def test_only_the_newest_records_are_read(shard: Shard, shops: Shops) -> None:
    shops.host()
    shops.create()
    for number in range(5):
        shops.settle()
        shops.update(taskDefinition=shops.definition(f"vision:1{number}"))
    shops.settle()
    seen = read_service_deployments(shard, STORE, "vision", 2).value
    assert [one.arn for one in seen] == [r["serviceDeploymentArn"] for r in shops.records()[:2]]


def test_a_record_from_before_revisions_has_no_target(canned: Canned, open_shard: Open) -> None:
    canned.answers = [
        reply({"serviceDeployments": [{"serviceDeploymentArn": bodies.RECORD_ARN}]}),
        reply({"serviceDeployments": [bodies.record()]}),
        reply(
            {
                "serviceRevisions": [],
                "failures": [{"arn": bodies.REVISION_ARN, "reason": "MISSING"}],
            }
        ),
    ]
    (seen,) = read_service_deployments(open_shard(), STORE, "vision-arm64").value
    assert seen.task_definition == ""


def test_where_ecs_keeps_no_records_of_deployments_there_are_none_and_no_problem(
    shard: Shard, shops: Shops
) -> None:
    shops.host()
    shops.create()
    shops.settle()
    shops.rig.plane.faults.add(
        "ecs", "ListServiceDeployments", "UnsupportedFeatureException", 400, 2
    )
    assert read_service_deployments(shard, STORE, "vision").value == ()
