"""A bare box to a healthy ECS container instance."""
