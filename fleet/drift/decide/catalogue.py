"""Every kind of finding by its code: each row of ``host_codes`` and ``service_codes``."""

from collections.abc import Mapping
from types import MappingProxyType

from fleet.drift.decide import host_codes, service_codes
from fleet.drift.decide.finding_kinds import FindingKind

CATALOGUE: Mapping[str, FindingKind] = MappingProxyType(
    {
        kind.code: kind
        for module in (host_codes, service_codes)
        for kind in vars(module).values()
        if isinstance(kind, FindingKind)
    }
)
