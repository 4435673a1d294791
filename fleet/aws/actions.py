"""Every AWS action that fleet sends, and whether it may be sent again when a reply was lost."""

from dataclasses import dataclass
from enum import StrEnum


class Repeat(StrEnum):
    """What sending an action twice does; it decides which failures are retried.

    READ and IDEMPOTENT are retried after throttles, HTTP 5xx, refused and lost connections and
    timeouts. ONCE only after failures of which it is certain that AWS did not act: a throttle, or
    a connection that never came to be. Anything else of it is an unknown outcome, and the caller
    has to look again before deciding anew.
    """

    READ = "read"
    IDEMPOTENT = "idempotent"
    ONCE = "once"


@dataclass(frozen=True, slots=True)
class Action:
    """One AWS action.

    Attributes:
        service: as boto3 and IAM name it, as ``ecs``.
        name: as in the API reference, as ``PutAttributes``.
        repeat: what sending it twice does.
        why: the reason for ``repeat`` where it is not obvious; "" for reads.
        implies: IAM actions that AWS also checks when fleet sends this one.
        answers: what every whole reply holds; one without it was cut off or is not AWS's. botocore
            takes a body that is no JSON for an empty reply. "" when replies may be empty.
    """

    service: str
    name: str
    repeat: Repeat = Repeat.READ
    why: str = ""
    implies: tuple[str, ...] = ()
    answers: str = ""

    @property
    def id(self) -> str:
        """``ecs:PutAttributes``, as IAM and the call budget name it."""
        return f"{self.service}:{self.name}"


GET_CALLER_IDENTITY = Action("sts", "GetCallerIdentity", answers="Account")
GET_ROLE = Action("iam", "GetRole", answers="Role")
GET_OBJECT = Action("s3", "GetObject")

DESCRIBE_CLUSTERS = Action("ecs", "DescribeClusters", answers="clusters")
LIST_CLUSTERS = Action("ecs", "ListClusters", answers="clusterArns")
LIST_CONTAINER_INSTANCES = Action("ecs", "ListContainerInstances", answers="containerInstanceArns")
DESCRIBE_CONTAINER_INSTANCES = Action(
    "ecs", "DescribeContainerInstances", answers="containerInstances"
)
CREATE_CLUSTER = Action(
    "ecs",
    "CreateCluster",
    Repeat.IDEMPOTENT,
    "the name is the identity: a second call returns the cluster that is there",
    implies=("ecs:TagResource",),
    answers="cluster",
)
PUT_ATTRIBUTES = Action(
    "ecs", "PutAttributes", Repeat.IDEMPOTENT, "sets values; the same ones again change nothing"
)
DELETE_ATTRIBUTES = Action(
    "ecs",
    "DeleteAttributes",
    Repeat.IDEMPOTENT,
    "a second call finds them gone, which is what was wanted",
)
DEREGISTER_CONTAINER_INSTANCE = Action(
    "ecs",
    "DeregisterContainerInstance",
    Repeat.IDEMPOTENT,
    "ARNs are never used again: a second call finds it INACTIVE, which is what was wanted",
    answers="containerInstance",
)
TAG_RESOURCE = Action(
    "ecs", "TagResource", Repeat.IDEMPOTENT, "sets values; the same ones again change nothing"
)

DESCRIBE_ACTIVATIONS = Action("ssm", "DescribeActivations", answers="ActivationList")
DESCRIBE_INSTANCE_INFORMATION = Action(
    "ssm", "DescribeInstanceInformation", answers="InstanceInformationList"
)
GET_SERVICE_SETTING = Action("ssm", "GetServiceSetting", answers="ServiceSetting")
SSM_LIST_TAGS = Action("ssm", "ListTagsForResource")
CREATE_ACTIVATION = Action(
    "ssm",
    "CreateActivation",
    Repeat.ONCE,
    "takes no client token: each call makes another activation, whose code is shown once",
    implies=("iam:PassRole", "ssm:AddTagsToResource"),
    answers="ActivationCode",
)
DELETE_ACTIVATION = Action(
    "ssm",
    "DeleteActivation",
    Repeat.IDEMPOTENT,
    "ids are never used again: a second call finds it gone, which is what was wanted",
)
DEREGISTER_MANAGED_INSTANCE = Action(
    "ssm",
    "DeregisterManagedInstance",
    Repeat.IDEMPOTENT,
    "ids are never used again: a second call finds it gone, which is what was wanted",
)
ADD_TAGS = Action(
    "ssm", "AddTagsToResource", Repeat.IDEMPOTENT, "sets values; the same ones change nothing"
)

LIST_SERVICES = Action("ecs", "ListServices", answers="serviceArns")
DESCRIBE_SERVICES = Action("ecs", "DescribeServices", answers="services")
LIST_TASKS = Action("ecs", "ListTasks", answers="taskArns")
DESCRIBE_TASKS = Action("ecs", "DescribeTasks", answers="tasks")
LIST_SERVICE_DEPLOYMENTS = Action("ecs", "ListServiceDeployments", answers="serviceDeployments")
DESCRIBE_SERVICE_DEPLOYMENTS = Action(
    "ecs", "DescribeServiceDeployments", answers="serviceDeployments"
)
DESCRIBE_SERVICE_REVISIONS = Action("ecs", "DescribeServiceRevisions", answers="serviceRevisions")
LIST_TASK_DEFINITIONS = Action("ecs", "ListTaskDefinitions", answers="taskDefinitionArns")
DESCRIBE_TASK_DEFINITION = Action("ecs", "DescribeTaskDefinition", answers="taskDefinition")
REGISTER_TASK_DEFINITION = Action(
    "ecs",
    "RegisterTaskDefinition",
    Repeat.ONCE,
    "takes no client token: each call makes another revision",
    implies=("ecs:TagResource", "iam:PassRole"),
    answers="taskDefinition",
)
CREATE_SERVICE = Action(
    "ecs",
    "CreateService",
    Repeat.IDEMPOTENT,
    "fleet sends a client token: a second call returns the service that the first one made",
    implies=("ecs:TagResource",),
    answers="service",
)
UPDATE_SERVICE = Action(
    "ecs",
    "UpdateService",
    Repeat.IDEMPOTENT,
    "sets values; the same ones again start no deployment unless one is forced, and fleet never"
    " forces one",
    answers="service",
)
DELETE_SERVICE = Action(
    "ecs",
    "DeleteService",
    Repeat.IDEMPOTENT,
    "a second call finds it going or gone, which is what was wanted",
    answers="service",
)

DESCRIBE_LOG_GROUPS = Action("logs", "DescribeLogGroups", answers="logGroups")
CREATE_LOG_GROUP = Action(
    "logs",
    "CreateLogGroup",
    Repeat.IDEMPOTENT,
    "the name is the identity: a second call is told that it exists",
    implies=("logs:TagResource",),
)
PUT_RETENTION_POLICY = Action(
    "logs", "PutRetentionPolicy", Repeat.IDEMPOTENT, "sets a value; the same again changes nothing"
)

PUBLISH = Action(
    "sns",
    "Publish",
    Repeat.ONCE,
    "a standard topic takes no client token: each call is another message",
    answers="MessageId",
)

BATCH_GET_IMAGE = Action("ecr", "BatchGetImage", answers="images")
GET_DOWNLOAD_URL = Action("ecr", "GetDownloadUrlForLayer", answers="downloadUrl")

SEND_COMMAND = Action(
    "ssm",
    "SendCommand",
    Repeat.ONCE,
    "takes no client token: each call makes another command, which is found by its comment",
    answers="Command",
)
LIST_COMMANDS = Action("ssm", "ListCommands", answers="Commands")
LIST_COMMAND_INVOCATIONS = Action("ssm", "ListCommandInvocations", answers="CommandInvocations")
GET_COMMAND_INVOCATION = Action("ssm", "GetCommandInvocation", answers="CommandId")
