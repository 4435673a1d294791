"""Findings about services, releases, tasks and capacity, and those that hosts report themselves."""

from fleet.drift.decide import fix_rules
from fleet.drift.decide.finding_kinds import FindingKind, Need, Reread, SafeFix, Subject
from fleet.model.drift_settings import Severity

SERVICE_MISSING = FindingKind(
    "SERVICE_MISSING",
    Severity.HIGH,
    "a service that should run is not there",
    "The inventory wants a workload here and hosts for it are registered, but the cluster has no "
    "such service and no rollout owes it. The shop runs without it.",
    "Roll the workload out to the store.",
    needs_release=True,
)
SERVICE_DRAINING = FindingKind(
    "SERVICE_DRAINING",
    Severity.HIGH,
    "a service that should run was deleted",
    "Somebody deleted a service that the inventory wants. It is DRAINING until its last task has "
    "stopped. On a disconnected host the task runs until the host is back.",
    "Roll the workload out again once the service is gone; until then ECS refuses a service of "
    "that name.",
)
SERVICE_UNMANAGED = FindingKind(
    "SERVICE_UNMANAGED",
    Severity.INFO,
    "a service that the inventory does not know",
    "The cluster runs a service that no workload wants here. One that fleet made was left behind "
    "when the inventory changed, and takes room. One that others made is only reported, unless it "
    "has the name of a wanted service, which fleet then cannot roll out.",
    "Delete what fleet left behind; ask who made the others, or move them.",
)
SERVICE_SETTINGS = FindingKind(
    "SERVICE_SETTINGS",
    Severity.LOW,
    "settings of a service are not what fleet sends",
    "Placement, deployment limits, circuit breaker, launch type or other settings differ from "
    "what the inventory comes to. Defaults that ECS fills in are no difference, and neither is the "
    "breaker count of the policy that a rollout was sent with. Without the breaker, a bad release "
    "is not rolled back while nobody watches.",
    "Roll the workload out to the store: settings are set with it. What somebody set is left alone "
    "unless you say --overwrite. Launch type and scheduling cannot be changed; such a service is "
    "deleted and made anew.",
    needs_release=True,
)
SERVICE_COUNT = FindingKind(
    "SERVICE_COUNT",
    Severity.MEDIUM,
    "a service's desired count is not its number of hosts",
    "Fleet runs one task on every matching host. Fewer leave a host idle, as after one was added; "
    "more can never be placed. A count of 0 was set by a person, and nothing runs.",
    "Roll the workload out to the store: the count is set with it. One that somebody set is left "
    "alone unless you say --overwrite.",
    needs_release=True,
)
SERVICE_UNTAGGED = FindingKind(
    "SERVICE_UNTAGGED",
    Severity.LOW,
    "a service has lost fleet's tags",
    "What the service runs was made by fleet, so it is fleet's, but tags are missing. Without "
    "them a rollout does not touch it, and a lost database cannot be rebuilt from it.",
    "Put the tags back.",
    fix=SafeFix(Reread.SERVICE, fix_rules.service_untagged),
)
TASKS_SHORT = FindingKind(
    "TASKS_SHORT",
    Severity.HIGH,
    "fewer tasks run than should, on connected hosts",
    "The hosts have been connected for long enough, ECS has tried, and still fewer tasks run than "
    "the hosts could run. A full count would prove nothing; one that is not full does.",
    "Read why the last tasks stopped; then roll back, or repair the host.",
    needs=frozenset({Need.CONNECTED}),
    fails_release=True,
)
DEPLOYMENT_STUCK = FindingKind(
    "DEPLOYMENT_STUCK",
    Severity.MEDIUM,
    "a deployment does not end",
    "A deployment has been in progress for longer than the policy's deadline, though its hosts "
    "were connected all the time and no rollout is at work on it.",
    "Read the service's events and why its tasks stopped; send another revision, or roll back.",
    needs=frozenset({Need.CONNECTED}),
    fails_release=True,
)
DEPLOYMENT_FAILED = FindingKind(
    "DEPLOYMENT_FAILED",
    Severity.HIGH,
    "a deployment failed in ECS",
    "The circuit breaker ended the deployment of what should run. It restored the revision "
    "before, which runs, or there was none to restore, and nothing may be running.",
    "Find the cause with the rollout's status, then retry it or send a better release.",
    fails_release=True,
)
RELEASE_OWED = FindingKind(
    "RELEASE_OWED",
    Severity.LOW,
    "a store still owes a release",
    "A rollout could not send a release, or took it back, because the store was disconnected or "
    "could not pull the image. It runs what it ran before.",
    "Nothing while it is disconnected. When it is back, resume the rollout: it sends what is owed.",
)
RELEASE_PENDING = FindingKind(
    "RELEASE_PENDING",
    Severity.LOW,
    "what is committed was not rolled out",
    "The store runs an earlier release of fleet's than the committed inventory comes to, and no "
    "rollout owes it the newer one.",
    "Roll the workload out, or revert the commit.",
    needs_release=True,
)
SENDING_STOPPED = FindingKind(
    "SENDING_STOPPED",
    Severity.HIGH,
    "every send of every rollout is stopped",
    "Somebody has typed `fleet stop --all`. No store is sent anything, in no rollout, and stores "
    "that come back do not get what they are owed. Stores can still be set back.",
    "Ask who did it whether the reason still holds. Then `fleet start`.",
    comes_first=True,
    from_records=True,
)
ROLLOUT_WAITS = FindingKind(
    "ROLLOUT_WAITS",
    Severity.HIGH,
    "a rollout waits for a person",
    "A rollout is halted, paused, or waits for `promote`. Nothing more is sent, no other rollout "
    "can touch its stores, and what their services run is compared again only after "
    "`drift.rollout_idle`. After a halt, stores may run a release that is known to fail.",
    "Read its status, and decide: promote, roll back, abort, or go on.",
    comes_first=True,
    from_records=True,
)
ROLLOUT_IDLE = FindingKind(
    "ROLLOUT_IDLE",
    Severity.MEDIUM,
    "nobody advances a rollout",
    "A rollout is under way, and nobody has ticked it for longer than `drift.rollout_idle`. No "
    "other rollout can touch its stores. Differences there are reported again, except what only a "
    "release would change.",
    "Let it go on, in the foreground or by a controller, or abort it.",
    from_records=True,
)
RELEASE_RECALLED = FindingKind(
    "RELEASE_RECALLED",
    Severity.HIGH,
    "a release fails in its stores after its rollout was done",
    "A rollout is done, its stores are still watched (`watch_for`), and by what they are now its "
    "gate would not have let it pass: more of them are in trouble than its failure budget allows, "
    "success is too low, too few are connected still, or a controller has recalled it. A store "
    "that was not read counts neither way.",
    "Look at the stores that it names. If it is the release, roll it back.",
    needs=frozenset({Need.COUNTED}),
    comes_first=True,
)
CHANGED_BY_HAND = FindingKind(
    "CHANGED_BY_HAND",
    Severity.HIGH,
    "somebody changed what a service runs",
    "The service runs a revision that is neither the committed one nor one that fleet sent. Fleet "
    "never overwrites it without being asked: it may be what keeps the shop running.",
    "Ask who did it and why. Then commit it, or roll out with --overwrite.",
)
REVISION_GONE = FindingKind(
    "REVISION_GONE",
    Severity.MEDIUM,
    "a service runs a revision that was deregistered",
    "The task definition that the service runs is INACTIVE. ECS keeps running it, but no other "
    "service can be set to it, so nothing can be rolled back to it or made anew from it.",
    "Roll out a release that has another revision; find out who deregistered it.",
)
REVISIONS_QUOTA = FindingKind(
    "REVISIONS_QUOTA",
    Severity.MEDIUM,
    "a family comes near the quota of revisions",
    "ECS never reuses the revision numbers of a family and refuses new ones at the quota. Then "
    "the workload cannot be rolled out in the account and region.",
    "Use fewer bodies: put what differs from store to store on the hosts. Or rename the family.",
)
IMAGE_DRIFT = FindingKind(
    "IMAGE_DRIFT",
    Severity.MEDIUM,
    "a container runs another image than is pinned",
    "ECS reports another digest for a running container than the release pins. One that the "
    "release knows as another image is certainly wrong. An unknown one has severity info: for an "
    "image of several architectures, some versions of docker report the digest of one "
    "architecture.",
    "Stop the task: its successor pulls what is pinned. Look for a pull behaviour that prefers "
    "cached images.",
    needs=frozenset({Need.TASKS, Need.CONNECTED}),
    subject=Subject.SERVICE_PART,
)
TASK_OLD_REVISION = FindingKind(
    "TASK_OLD_REVISION",
    Severity.MEDIUM,
    "a task runs an older revision than its service",
    "ECS calls the deployment complete, but for longer than the policy's deadline a task of the "
    "service on a connected host has had another revision.",
    "Stop the task; ECS starts the right one.",
    needs=frozenset({Need.TASKS, Need.CONNECTED}),
    subject=Subject.SERVICE_PART,
)
TASK_ORPHAN = FindingKind(
    "TASK_ORPHAN",
    Severity.INFO,
    "a task of no service runs",
    "A task runs on a host that no service of the store started, as with RunTask by hand. It "
    "takes room and ports, and is not started again when it ends.",
    "Stop it when nobody needs it.",
    needs=frozenset({Need.TASKS, Need.CONNECTED}),
    subject=Subject.TASK,
)
TASK_STUCK_STOPPING = FindingKind(
    "TASK_STUCK_STOPPING",
    Severity.MEDIUM,
    "a task should have stopped and has not",
    "ECS wants the task stopped, and the agent of a connected host has not reported that it has. "
    "Its successor waits for the room.",
    "Restart the agent on the host: it reads ECS's list of tasks anew. Containers keep running.",
    needs=frozenset({Need.TASKS, Need.CONNECTED}),
    subject=Subject.TASK,
)
TASK_NEVER_FITS = FindingKind(
    "TASK_NEVER_FITS",
    Severity.HIGH,
    "a task is too big for its host",
    "A wanted task definition asks for more CPU or memory than the host has registered, so ECS "
    "can never place it there.",
    "Ask for less in the template, or narrow the workload's where: to bigger hardware.",
)
PORT_CLASH = FindingKind(
    "PORT_CLASH",
    Severity.HIGH,
    "two services want the same port of a host",
    "Two services that are wanted on one host have the same fixed port. ECS can place only one of "
    "them.",
    "Give one of the templates another host port.",
)
CAPACITY_SHORT = FindingKind(
    "CAPACITY_SHORT",
    Severity.HIGH,
    "the tasks of a host do not fit together",
    "Each task that is wanted on the host fits alone, but together they ask for more CPU or "
    "memory than it has registered. The last one cannot be placed.",
    "Ask for less in a template, or move a workload to other hardware.",
)
DISK_LOW = FindingKind(
    "DISK_LOW",
    Severity.MEDIUM,
    "a host has little disk left",
    "The host itself reported how much is free. Without room the next image cannot be pulled, and "
    "docker or the agent may stop.",
    "Remove images that nothing uses; look for logs and recordings that grow.",
    needs=frozenset({Need.PROBE}),
)
HOT = FindingKind(
    "HOT",
    Severity.MEDIUM,
    "a host is too hot",
    "The hottest zone of the host is over the limit. The host slows down first and switches off "
    "then.",
    "Have its fan, its filter and its surroundings checked.",
    needs=frozenset({Need.PROBE}),
)
CLOCK_WRONG = FindingKind(
    "CLOCK_WRONG",
    Severity.HIGH,
    "the clock of a host is wrong",
    "AWS refuses requests whose signature is more than five minutes off, so the agents disconnect "
    "when they have to sign again.",
    "Let the host set its time over the network.",
    needs=frozenset({Need.PROBE}),
)
CONTAINER_MISSING = FindingKind(
    "CONTAINER_MISSING",
    Severity.HIGH,
    "ECS shows a container as running, and the host does not run it",
    "The host was asked and docker has no such container, though ECS shows it as RUNNING on this "
    "connected host. The shop runs without it, and ECS will not start it.",
    "Restart the agent on the host, which reports the truth to ECS; or stop the task.",
    needs=frozenset({Need.TASKS, Need.PROBE, Need.CONNECTED}),
    subject=Subject.SERVICE_PART,
)
CONTAINER_UNKNOWN = FindingKind(
    "CONTAINER_UNKNOWN",
    Severity.MEDIUM,
    "a host runs a container whose task ECS does not have",
    "Docker runs a container with ECS's labels, but ECS has no such task, as after a container "
    "instance was deregistered by force. Nothing will ever stop it, and it holds its ports.",
    "Stop the container on the host.",
    needs=frozenset({Need.TASKS, Need.PROBE, Need.CONNECTED}),
)
CONTAINER_OLD_IMAGE = FindingKind(
    "CONTAINER_OLD_IMAGE",
    Severity.MEDIUM,
    "docker runs a container from another image than is pinned",
    "The host itself reports another digest than the task definition pins, while ECS reports none "
    "or the right one. A digest that the release does not know has severity info.",
    "Stop the task: its successor pulls what is pinned.",
    needs=frozenset({Need.TASKS, Need.PROBE, Need.CONNECTED}),
    subject=Subject.SERVICE_PART,
)
CRASH_LOOP = FindingKind(
    "CRASH_LOOP",
    Severity.HIGH,
    "a container crashes again and again, and its task stays RUNNING",
    "The restart policy lets the ECS agent start it again on the host, so that the shop survives a "
    "crash while it is offline. ECS sees a RUNNING task and counts no failure, while every restart "
    "is an outage in the shop. It is reported above restarts_per_day.",
    "Read the container's last output; then roll back, or release what does not crash.",
    needs=frozenset({Need.TASKS, Need.PROBE, Need.CONNECTED}),
    subject=Subject.SERVICE_PART,
    fails_release=True,
)
