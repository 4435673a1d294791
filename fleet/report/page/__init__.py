"""The night as one HTML file that needs nothing else: no server, no network, no second file."""

from fleet.report.page.document import page_of

__all__ = ["page_of"]
