"""Registration as text and JSON."""
