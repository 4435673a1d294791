"""Manage edge hosts in retail shops on Amazon ECS Anywhere."""

__version__ = "0.1.0"
