"""For every code of the catalogue, how to bring about what it means: at AWS, on a box, or in what
is committed; never in fleet's own values.

Each takes half a shop that is healthy and returns what a scan has to find then, and nothing else.
"""

from collections.abc import Mapping

from tests.scenarios.drift.host_injections import HOSTS
from tests.scenarios.drift.injecting import Injection
from tests.scenarios.drift.service_injections import SERVICES

INJECTIONS: Mapping[str, Injection] = {**HOSTS, **SERVICES}
