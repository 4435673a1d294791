"""What the programs of a simulated host do, in the daemon; the host runs a thin script for each."""
