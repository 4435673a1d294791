"""Pure decisions about a rollout: plan, verdicts, gate, tick, verbs."""
