"""A local ECS Anywhere: control plane, SSM nodes and shop hosts behind real SSH.

Why our own and not moto alone: moto 5 has no external instances. It knows no SSM activation,
accepts no container instance that it did not launch, and its services start no tasks, so nothing
converges and nothing can fail. The control plane here runs ECS and the SSM node operations with
paging, throttling, batch limits and a deployment circuit breaker; every other service falls
through to moto. Requests are checked against botocore's service models. An operation that is not
modelled is refused, because an invented answer would be mistaken for AWS.

It imports nothing of fleet but errors, so that it cannot share the product's beliefs about AWS.
The product reaches it only through an endpoint and SSH, and has no branch for it.
"""
