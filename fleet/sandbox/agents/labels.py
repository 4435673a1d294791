"""What the containers of a task are labelled with, so that whoever asks docker can tell them."""

from fleet.sandbox.agents.payload import ContainerPlan, TaskPlan

LABEL_TASK = "com.amazonaws.ecs.task-arn"
LABEL_CONTAINER = "com.amazonaws.ecs.container-name"


def labels(cluster: str, plan: TaskPlan, container: ContainerPlan) -> dict[str, str]:
    """Those of a container of a task in a cluster, as the agent sets them."""
    return {
        "com.amazonaws.ecs.cluster": cluster,
        LABEL_TASK: plan.arn,
        LABEL_CONTAINER: container.name,
        "com.amazonaws.ecs.task-definition-family": plan.family,
        "com.amazonaws.ecs.task-definition-version": plan.version,
    }
