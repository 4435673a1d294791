"""Every AWS action that fleet sends; one row holds all facts about it.

Adding an action takes a row here and the function in ``fleet.aws`` that sends it. The test in
``tests/aws/test_iam.py`` says which commands the row has to name.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from fleet.model import rates
from fleet.model.rates import Rate


class Repeat(StrEnum):
    """What sending an action twice does. It decides which failures are retried.

    READ and IDEMPOTENT are retried after throttles, HTTP 5xx, refused and lost connections and
    timeouts. ONCE is retried only after failures that prove that AWS did not act: a throttle, or
    a connection that was never made. After any other failure its outcome is unknown, and the
    caller has to read again before it decides.
    """

    READ = "read"
    IDEMPOTENT = "idempotent"
    ONCE = "once"


class Sender(StrEnum):
    """A command, or an option that needs more than its command, with an IAM policy of its own."""

    REGISTER = "register"
    STATUS = "status"
    DOCTOR = "doctor"
    RENDER = "render"
    PLAN = "plan"
    ROLLOUT = "rollout"
    CONTROLLER = "controller"
    DRIFT = "drift"
    FIX = "fix"
    DEEP = "deep"
    NOTIFY = "notify"


@dataclass(frozen=True, slots=True)
class PassedRole:
    """A role that AWS is handed with an action, for which IAM checks ``iam:PassRole``.

    Attributes:
        to: the service principal that may receive it.
        role: ARN template, as in ``Action.resources``.
    """

    to: str
    role: str


@dataclass(frozen=True, slots=True)
class Action:
    """One AWS action.

    Attributes:
        service: as boto3 and IAM name it, as ``ecs``.
        name: as in the API reference, as ``PutAttributes``.
        rate: of the group of actions in which AWS counts it.
        senders: commands that send it.
        repeat: what sending it twice does.
        why: the reason for ``repeat``; "" for reads.
        answers: the key that every whole reply holds. A reply without it was cut off or is not
            AWS's: botocore takes a body that is not JSON for an empty reply. "" when replies may
            be empty.
        resources: ARN templates of what it works on, by the resource types of the Service
            Authorization Reference; ``*`` where IAM takes no resource. ``fleet.aws.iam`` fills in
            partition, account and roles.
        tags: IAM action that AWS also checks because fleet sends tags with this one, or "".
        passes: the role that goes with it, or None.
    """

    service: str
    name: str
    rate: Rate
    senders: tuple[Sender, ...]
    repeat: Repeat = Repeat.READ
    why: str = ""
    answers: str = ""
    resources: tuple[str, ...] = ("*",)
    tags: str = ""
    passes: PassedRole | None = None

    @property
    def id(self) -> str:
        """Return ``ecs:PutAttributes``, as IAM and error messages name it."""
        return f"{self.service}:{self.name}"


_EVERY_CLUSTER_READER = (
    Sender.REGISTER,
    Sender.STATUS,
    Sender.PLAN,
    Sender.ROLLOUT,
    Sender.CONTROLLER,
    Sender.DRIFT,
    Sender.FIX,
)
_TICK = (Sender.ROLLOUT, Sender.CONTROLLER)
_PLAN_AND_TICK = (Sender.PLAN, *_TICK)
_FIX_AND_TICK = (*_TICK, Sender.FIX)

CLUSTER = ("arn:{partition}:ecs:*:{account}:cluster/*",)
INSTANCE = ("arn:{partition}:ecs:*:{account}:container-instance/*",)
SERVICE = ("arn:{partition}:ecs:*:{account}:service/*",)
TASK_DEFINITION = ("arn:{partition}:ecs:*:{account}:task-definition/*",)
_MANAGED_INSTANCE = "arn:{partition}:ssm:*:{account}:managed-instance/*"
_LOG_GROUP = ("arn:{partition}:logs:*:{account}:log-group:*",)
#: In any account: the images of a fleet may be in one that has no stores.
_REPOSITORY = ("arn:{partition}:ecr:*:*:repository/*",)
_INSTANCE_ROLE = "arn:{partition}:iam::{account}:role/{role}"

GET_CALLER_IDENTITY = Action(
    "sts",
    "GetCallerIdentity",
    rates.STS,
    (*_EVERY_CLUSTER_READER, Sender.DOCTOR),
    answers="Account",
)
GET_ROLE = Action(
    "iam", "GetRole", rates.IAM, (Sender.DOCTOR,), answers="Role", resources=(_INSTANCE_ROLE,)
)
#: Sent without credentials, so no policy has to allow it.
GET_OBJECT = Action("s3", "GetObject", rates.S3, ())

DESCRIBE_CLUSTERS = Action(
    "ecs",
    "DescribeClusters",
    rates.ECS_CLUSTER_READ,
    (*_EVERY_CLUSTER_READER, Sender.DOCTOR),
    answers="clusters",
    resources=CLUSTER,
)
LIST_CLUSTERS = Action(
    "ecs", "ListClusters", rates.ECS_CLUSTER_READ, (Sender.DRIFT,), answers="clusterArns"
)
CREATE_CLUSTER = Action(
    "ecs",
    "CreateCluster",
    rates.ECS_CLUSTER_MODIFY,
    (Sender.REGISTER,),
    Repeat.IDEMPOTENT,
    "the name is the identity: a second call returns the cluster that is there",
    answers="cluster",
    resources=CLUSTER,
    tags="ecs:TagResource",
)
LIST_CONTAINER_INSTANCES = Action(
    "ecs",
    "ListContainerInstances",
    rates.ECS_CLUSTER_RESOURCE_READ,
    _EVERY_CLUSTER_READER,
    answers="containerInstanceArns",
    resources=CLUSTER,
)
DESCRIBE_CONTAINER_INSTANCES = Action(
    "ecs",
    "DescribeContainerInstances",
    rates.ECS_CLUSTER_RESOURCE_READ,
    _EVERY_CLUSTER_READER,
    answers="containerInstances",
    resources=INSTANCE,
)
PUT_ATTRIBUTES = Action(
    "ecs",
    "PutAttributes",
    rates.ECS_CLUSTER_RESOURCE_MODIFY,
    (Sender.REGISTER, Sender.FIX),
    Repeat.IDEMPOTENT,
    "sets values; the same ones again change nothing",
    resources=INSTANCE,
)
DELETE_ATTRIBUTES = Action(
    "ecs",
    "DeleteAttributes",
    rates.ECS_CLUSTER_RESOURCE_MODIFY,
    (Sender.FIX,),
    Repeat.IDEMPOTENT,
    "a second call finds them gone, which is what was wanted",
    resources=INSTANCE,
)
DEREGISTER_CONTAINER_INSTANCE = Action(
    "ecs",
    "DeregisterContainerInstance",
    rates.ECS_CLUSTER_RESOURCE_MODIFY,
    (Sender.FIX,),
    Repeat.IDEMPOTENT,
    "ARNs are never used again: a second call finds it INACTIVE, which is what was wanted",
    answers="containerInstance",
    resources=CLUSTER,
)
#: What a command may tag is in ``fleet.aws.iam``: that differs from command to command.
TAG_RESOURCE = Action(
    "ecs",
    "TagResource",
    rates.ECS_TAG_MODIFY,
    (Sender.REGISTER, *_FIX_AND_TICK),
    Repeat.IDEMPOTENT,
    "sets values; the same ones again change nothing",
)

DESCRIBE_ACTIVATIONS = Action(
    "ssm",
    "DescribeActivations",
    rates.SSM_READ,
    (Sender.REGISTER, Sender.DRIFT, Sender.FIX),
    answers="ActivationList",
)
DESCRIBE_INSTANCE_INFORMATION = Action(
    "ssm",
    "DescribeInstanceInformation",
    rates.SSM_READ,
    (Sender.REGISTER, Sender.STATUS, Sender.DOCTOR, Sender.DRIFT, Sender.FIX),
    answers="InstanceInformationList",
)
GET_SERVICE_SETTING = Action(
    "ssm",
    "GetServiceSetting",
    rates.SSM_READ,
    (Sender.REGISTER, Sender.DOCTOR, Sender.DRIFT),
    answers="ServiceSetting",
    resources=("arn:{partition}:ssm:*:{account}:servicesetting/*",),
)
SSM_LIST_TAGS = Action(
    "ssm", "ListTagsForResource", rates.SSM_READ, (Sender.REGISTER, Sender.DRIFT, Sender.FIX)
)
CREATE_ACTIVATION = Action(
    "ssm",
    "CreateActivation",
    rates.SSM_MODIFY,
    (Sender.REGISTER,),
    Repeat.ONCE,
    "takes no client token: each call makes another activation, whose code is shown once",
    answers="ActivationCode",
    tags="ssm:AddTagsToResource",
    passes=PassedRole("ssm.amazonaws.com", _INSTANCE_ROLE),
)
DELETE_ACTIVATION = Action(
    "ssm",
    "DeleteActivation",
    rates.SSM_MODIFY,
    (Sender.REGISTER, Sender.FIX),
    Repeat.IDEMPOTENT,
    "ids are never used again: a second call finds it gone, which is what was wanted",
)
DEREGISTER_MANAGED_INSTANCE = Action(
    "ssm",
    "DeregisterManagedInstance",
    rates.SSM_MODIFY,
    (Sender.REGISTER, Sender.FIX),
    Repeat.IDEMPOTENT,
    "ids are never used again: a second call finds it gone, which is what was wanted",
    resources=(_MANAGED_INSTANCE,),
)
ADD_TAGS = Action(
    "ssm",
    "AddTagsToResource",
    rates.SSM_MODIFY,
    (Sender.REGISTER, Sender.FIX),
    Repeat.IDEMPOTENT,
    "sets values; the same ones again change nothing",
)

LIST_SERVICES = Action(
    "ecs",
    "ListServices",
    rates.ECS_SERVICE_READ,
    (*_PLAN_AND_TICK, Sender.DRIFT),
    answers="serviceArns",
)
DESCRIBE_SERVICES = Action(
    "ecs",
    "DescribeServices",
    rates.ECS_SERVICE_READ,
    (*_PLAN_AND_TICK, Sender.DRIFT, Sender.FIX),
    answers="services",
    resources=SERVICE,
)
LIST_TASKS = Action(
    "ecs",
    "ListTasks",
    rates.ECS_CLUSTER_RESOURCE_READ,
    (*_FIX_AND_TICK, Sender.DRIFT),
    answers="taskArns",
)
DESCRIBE_TASKS = Action(
    "ecs",
    "DescribeTasks",
    rates.ECS_CLUSTER_RESOURCE_READ,
    (*_FIX_AND_TICK, Sender.DRIFT),
    answers="tasks",
    resources=("arn:{partition}:ecs:*:{account}:task/*",),
)
LIST_SERVICE_DEPLOYMENTS = Action(
    "ecs",
    "ListServiceDeployments",
    rates.ECS_SERVICE_DEPLOYMENT_READ,
    _TICK,
    answers="serviceDeployments",
    resources=SERVICE,
)
DESCRIBE_SERVICE_DEPLOYMENTS = Action(
    "ecs",
    "DescribeServiceDeployments",
    rates.ECS_SERVICE_DEPLOYMENT_READ,
    _TICK,
    answers="serviceDeployments",
    resources=(*SERVICE, "arn:{partition}:ecs:*:{account}:service-deployment/*"),
)
DESCRIBE_SERVICE_REVISIONS = Action(
    "ecs",
    "DescribeServiceRevisions",
    rates.ECS_SERVICE_REVISION_READ,
    _TICK,
    answers="serviceRevisions",
    resources=(*SERVICE, "arn:{partition}:ecs:*:{account}:service-revision/*"),
)
LIST_TASK_DEFINITIONS = Action(
    "ecs",
    "ListTaskDefinitions",
    rates.ECS_TASK_DEFINITION_READ,
    (*_TICK, Sender.DRIFT),
    answers="taskDefinitionArns",
)
DESCRIBE_TASK_DEFINITION = Action(
    "ecs",
    "DescribeTaskDefinition",
    rates.ECS_TASK_DEFINITION_READ,
    (*_PLAN_AND_TICK, Sender.DRIFT),
    answers="taskDefinition",
)
REGISTER_TASK_DEFINITION = Action(
    "ecs",
    "RegisterTaskDefinition",
    rates.ECS_TASK_DEFINITION_MODIFY,
    _TICK,
    Repeat.ONCE,
    "takes no client token: each call makes another revision",
    answers="taskDefinition",
    resources=TASK_DEFINITION,
    tags="ecs:TagResource",
    passes=PassedRole(
        "ecs-tasks.amazonaws.com", "arn:{partition}:iam::{account}:role/{task_roles}"
    ),
)
CREATE_SERVICE = Action(
    "ecs",
    "CreateService",
    rates.ECS_SERVICE_MODIFY,
    _TICK,
    Repeat.IDEMPOTENT,
    "fleet sends a client token: a second call returns the service that the first one made",
    answers="service",
    resources=SERVICE,
    tags="ecs:TagResource",
)
UPDATE_SERVICE = Action(
    "ecs",
    "UpdateService",
    rates.ECS_SERVICE_MODIFY,
    _TICK,
    Repeat.IDEMPOTENT,
    "sets values; the same ones again start no deployment unless one is forced, and fleet never"
    " forces one",
    answers="service",
    resources=SERVICE,
)
DELETE_SERVICE = Action(
    "ecs",
    "DeleteService",
    rates.ECS_SERVICE_MODIFY,
    _TICK,
    Repeat.IDEMPOTENT,
    "a second call finds it going or gone, which is what was wanted",
    answers="service",
    resources=SERVICE,
)

DESCRIBE_LOG_GROUPS = Action(
    "logs", "DescribeLogGroups", rates.LOGS, _TICK, answers="logGroups", resources=_LOG_GROUP
)
CREATE_LOG_GROUP = Action(
    "logs",
    "CreateLogGroup",
    rates.LOGS,
    _TICK,
    Repeat.IDEMPOTENT,
    "the name is the identity: a second call is told that it exists",
    resources=_LOG_GROUP,
    tags="logs:TagResource",
)
PUT_RETENTION_POLICY = Action(
    "logs",
    "PutRetentionPolicy",
    rates.LOGS,
    _TICK,
    Repeat.IDEMPOTENT,
    "sets a value; the same again changes nothing",
    resources=_LOG_GROUP,
)

#: For any resource: with a narrower permission CloudWatch returns no composite alarms
#: (DescribeAlarms, CloudWatch API reference).
DESCRIBE_ALARMS = Action(
    "cloudwatch",
    "DescribeAlarms",
    rates.CLOUDWATCH_ALARM_READ,
    _PLAN_AND_TICK,
    answers="MetricAlarms",
)
GET_METRIC_DATA = Action(
    "cloudwatch",
    "GetMetricData",
    rates.CLOUDWATCH_METRIC_READ,
    _TICK,
    answers="MetricDataResults",
)

PUBLISH = Action(
    "sns",
    "Publish",
    rates.SNS,
    (Sender.NOTIFY,),
    Repeat.ONCE,
    "a standard topic takes no client token: each call is another message",
    answers="MessageId",
    # In any account: a topic may be in one that has no stores.
    resources=("arn:{partition}:sns:*:*:*",),
)

_IMAGE_READERS = (Sender.RENDER, Sender.PLAN, Sender.ROLLOUT, Sender.DRIFT)
BATCH_GET_IMAGE = Action(
    "ecr", "BatchGetImage", rates.ECR, _IMAGE_READERS, answers="images", resources=_REPOSITORY
)
GET_DOWNLOAD_URL = Action(
    "ecr",
    "GetDownloadUrlForLayer",
    rates.ECR,
    _IMAGE_READERS,
    answers="downloadUrl",
    resources=_REPOSITORY,
)

SEND_COMMAND = Action(
    "ssm",
    "SendCommand",
    rates.SSM_MODIFY,
    (Sender.DEEP,),
    Repeat.ONCE,
    "takes no client token: each call makes another command, which is found by its comment",
    answers="Command",
    resources=(_MANAGED_INSTANCE, "arn:{partition}:ssm:*::document/AWS-RunShellScript"),
)
LIST_COMMANDS = Action("ssm", "ListCommands", rates.SSM_READ, (Sender.DEEP,), answers="Commands")
LIST_COMMAND_INVOCATIONS = Action(
    "ssm",
    "ListCommandInvocations",
    rates.SSM_READ,
    (Sender.DEEP,),
    answers="CommandInvocations",
)
GET_COMMAND_INVOCATION = Action(
    "ssm", "GetCommandInvocation", rates.SSM_READ, (Sender.DEEP,), answers="CommandId"
)

#: Every action, by its id.
ACTIONS: Mapping[str, Action] = {
    value.id: value for value in list(globals().values()) if isinstance(value, Action)
}
