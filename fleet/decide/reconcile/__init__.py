"""What differs between ledgers and inventory: ordered rules, a module per pair of ledgers."""
