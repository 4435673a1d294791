"""Plans and rollouts as text and JSON."""
