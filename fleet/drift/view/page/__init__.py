"""The report of one scan as a single HTML file without external resources."""
