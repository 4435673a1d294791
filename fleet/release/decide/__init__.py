"""Pure decisions about a release: desired services, task definitions and their differences."""
