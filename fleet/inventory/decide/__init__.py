"""Pure decisions about the inventory: store selection, windows, checks."""
