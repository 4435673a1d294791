"""Inventory: YAML and CSV files on disk to a checked and resolved ``Fleet``."""
