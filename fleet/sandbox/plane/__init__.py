"""The simulated control plane: ECS and the SSM node operations, in AWS wire terms."""
