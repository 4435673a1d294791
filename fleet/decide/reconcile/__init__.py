"""What differs between the ledgers and the inventory: ordered rules, a module per pair of ledgers."""
