"""A local ECS Anywhere: control plane, SSM nodes and shop hosts behind real SSH.

It imports nothing of fleet but errors, so that it cannot share the product's beliefs about AWS.
"""
