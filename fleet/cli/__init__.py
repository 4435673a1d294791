"""Words to calls: one file per command. Wires edges into the engine; decides nothing."""
