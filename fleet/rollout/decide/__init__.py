"""Decides about a rollout, without I/O: plan, verdicts, gate, tick, verbs."""
