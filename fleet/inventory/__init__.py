"""Read, check and resolve the YAML and CSV files of an inventory into a ``Fleet``."""
