"""The simulator's own choices, where AWS publishes nothing: not facts, and not to be relied on.

Beside these numbers: SSM's error codes for a refused registration, the order of pages, request
rates of SSM (``throttle``), the values of the instance health check, attributes compared with
``!=`` where they are missing (``query``), and that signatures of requests are not verified.
"""

ACS_HEARTBEAT_S = 30.0
"""How often the control plane sends a heartbeat; agents are content with 15 to 45 seconds."""

ACS_SILENT_AFTER_S = 180.0
"""Without an ack for so long the channel is dead and ``agentConnected`` false.

The agent's own read timeout is 3 minutes; AWS's limit is not published.
"""

FIRST_MESSAGE_AFTER_S = 1.0
"""What an agent gets on connecting comes this much later, when it holds its channel."""

PING_LOST_AFTER_S = 900.0
"""A node whose last ping is older is ``ConnectionLost``: three pings of 5 minutes missed."""

NODE_TOKEN_LIFE_S = 3600.0
"""Life of a node's credentials, rotated at half of it by the agent. (EKS hybrid guide: 1 hour.)"""
