"""What to do: pure functions from what is wanted and seen to actions, each with a reason."""
