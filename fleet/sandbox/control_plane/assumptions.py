"""Assumptions of the sandbox where AWS publishes nothing; they are not facts about AWS.

Beside these numbers: SSM's error codes for a refused registration, the order of pages, request
rates of SSM (``throttle``), the values of the instance health check, attributes compared with
``!=`` where they are missing (``cluster_query``), and that signatures of requests are not verified.

Of services: which old task stops first (those that are not healthy, then by id), that a stop is not
held back until its replacement can be placed, not even that of an unhealthy task, that a task
waiting for a stop on a disconnected instance counts as running and so can hold up a deployment,
that a stopped deployment without rollback is recorded as STOPPED, that a rollback is a new
deployment of the earlier service revision, that a revision else has the number of its deployment,
that a deployment without tasks leaves ``service.deployments`` at once, the reasons in records of
service deployments, that a forced deregistration marks the orphaned tasks STOPPED at once, that
DAEMON tasks leave a DRAINING instance with the others, that a matching ACTIVE instance counts for a
DAEMON service while its agent is away, that the circuit breaker does not count a task that could
not be placed (AWS's words "if the service scheduler can't launch the task" allow both readings),
and that such a placement is tried again when an instance of the cluster connects or changes, that a
task's required capabilities are not compared with the agent's attributes, and that nobody is told
of a steady state again every six hours.
"""

#: How often the control plane sends a heartbeat; agents are content with 15 to 45 seconds.
ACS_HEARTBEAT_S = 30.0

#: Without an ack for so long the channel is dead and ``agentConnected`` false.
#:
#: The agent's own read timeout is 3 minutes; AWS's limit is not published.
ACS_SILENT_AFTER_S = 180.0

#: What an agent gets on connecting comes this much later, when it holds its channel.
FIRST_MESSAGE_AFTER_S = 1.0

#: A node whose last ping is older is ``ConnectionLost``: three pings of 5 minutes missed.
PING_LOST_AFTER_S = 900.0

#: Life of a node's credentials, rotated at half of it by the agent. (EKS hybrid guide: 1 hour.)
NODE_TOKEN_LIFE_S = 3600.0

#: How long after something happened the service scheduler looks at a service.
SCHEDULER_REACTS_AFTER_S = 2.0

#: A task without health checks counts as healthy so long after it reached RUNNING.
#:
#: Documented for the minimum healthy percent (API reference, ``minimumHealthyPercent``). That the
#: circuit breaker's reset and the steady state go by it too is a guess: with it a container that
#: ends in its first 40 seconds counts as a failed task, and a deployment takes as long to complete.
TASK_HEALTHY_AFTER_S = 40.0

#: Wait before the next start after so many tasks in a row ended by themselves; then the last.
#:
#: AWS documents that the service scheduler slows down restarts, but not by how much.
RESTART_DELAYS_S = (0.0, 10.0, 30.0, 60.0, 120.0, 300.0, 900.0)

#: So many failed tasks in a row bring the event "unable to consistently start tasks".
INCONSISTENT_AFTER = 3

#: How long a stopped task can be described. (API reference: at least one hour.)
STOPPED_TASKS_SEEN_S = 3600.0

#: A payload without an ack is sent again with the first heartbeat after so long.
PAYLOAD_AGAIN_AFTER_S = 45.0

#: Characters of output that ListCommandInvocations shows. (API reference, CommandPlugin.)
COMMAND_OUTPUT_LISTED = 2500

#: Characters of output that GetCommandInvocation shows. (API reference.)
COMMAND_OUTPUT_READ = 24_000
