"""Four ledgers to findings and status: scan, comparison, fixes, report."""
