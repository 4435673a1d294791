"""Registers hosts: from a bare box to a healthy ECS container instance."""
