"""What a run needs to reach the edges: wiring, AWS access, executor, clock, run record."""
