"""Turns plans and rollouts into text and JSON."""
