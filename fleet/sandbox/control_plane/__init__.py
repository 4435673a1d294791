"""A control plane of our own: ECS for external instances, and the node operations of SSM.

What it does not model it refuses loudly or leaves to moto. Where AWS's own behaviour is not
published or not confirmed, the simulator had to choose: those choices are in ``liberties``, and no
rule of the product may rest on them.
"""

from fleet.sandbox.control_plane.database import persisted_time
from fleet.sandbox.control_plane.engine import ControlPlane, access_key_for
from fleet.sandbox.control_plane.in_process import InProcessSession

__all__ = ["ControlPlane", "InProcessSession", "access_key_for", "persisted_time"]
