"""Scans, findings, hosts and stories as text, Markdown, HTML and JSON."""
