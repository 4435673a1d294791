"""Every kind of finding, by its code."""

from collections.abc import Mapping
from types import MappingProxyType

from fleet.decide.reconcile import host_codes, service_codes
from fleet.decide.reconcile.entries import Entry

CATALOGUE: Mapping[str, Entry] = MappingProxyType(
    {entry.code: entry for entry in (*host_codes.ENTRIES, *service_codes.ENTRIES)}
)
