"""The simulated SSM and ECS agents; they know the control plane only by their session."""
