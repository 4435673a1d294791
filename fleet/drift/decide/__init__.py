"""Pure decisions about drift: rules for findings, comparison of scans, fixes."""
