"""A control plane of our own: ECS for external instances, and the node operations of SSM.

What it does not model it refuses by name or leaves to moto. Where AWS's behaviour is not published
or not confirmed, it makes an assumption; those are in ``assumptions``, and no rule of the product
may rest on them.
"""
