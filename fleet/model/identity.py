"""Names, tags and attributes of what fleet creates in AWS."""

from collections.abc import Mapping

from fleet.model.inventory import Host, Store

#: Tags on clusters, activations (they flow to managed instances) and container instances.
TAG_FLEET = "fleet:fleet"
TAG_STORE = "fleet:store"
TAG_HOST = "fleet:host"
#: Tags on services and task definitions.
TAG_WORKLOAD = "fleet:workload"
TAG_ROLLOUT = "fleet:rollout"
TAG_CONTENT = "fleet:content"
TAG_PREVIOUS = "fleet:previous"
#: Tag on services: the settings that fleet sent last, which nobody else is taken to have set.
TAG_SENT = "fleet:sent"
#: Prefix of the custom attributes that fleet sets on container instances.
OWN_ATTRIBUTES = "fleet."
#: The attributes that say which host of the inventory a container instance is.
STORE_ATTRIBUTE = "fleet.store"
HOST_ATTRIBUTE = "fleet.host"
#: The attributes that placement constraints of services use.
VARIANT_ATTRIBUTE = "fleet.variant"
ACCELERATOR_ATTRIBUTE = "fleet.accelerator"
PLACEMENT_ATTRIBUTES = frozenset({VARIANT_ATTRIBUTE, ACCELERATOR_ATTRIBUTE})


def cluster_tags(fleet_name: str, store: Store) -> dict[str, str]:
    """Return the tags of a store's cluster."""
    return {TAG_FLEET: fleet_name, TAG_STORE: store.id}


def host_tags(fleet_name: str, host: Host) -> dict[str, str]:
    """Return the tags of a host's activation, managed instance and container instance."""
    return {TAG_FLEET: fleet_name, TAG_STORE: host.store, TAG_HOST: host.id}


def is_ours(tags: Mapping[str, str] | None, fleet_name: str, host: Host) -> bool:
    """Return whether tags prove that this fleet created something for this host.

    A name proves nothing: another fleet in the same account, or a person, may have used it.
    """
    wanted = host_tags(fleet_name, host)
    return tags is not None and not differing(wanted, tags)


def activation_name(host: Host) -> str:
    """Return the DefaultInstanceName of a host's activation, which SSM gives to its node.

    It joins an activation to its host where tags were not read, so it is the host's id; SSM allows
    letters, digits and ``_.:/=+-@``.
    """
    return host.id


def declared_attributes(store: Store, host: Host) -> dict[str, str]:
    """Return the custom attributes that a host's container instance must have.

    Services are placed by ``fleet.variant`` and ``fleet.accelerator``; the rest is for people and
    for cheap ListAttributes queries. At most six are ours, which leaves four to the inventory.
    """
    attributes = {
        STORE_ATTRIBUTE: store.id,
        HOST_ATTRIBUTE: host.name,
        "fleet.hardware": host.hardware.name,
        VARIANT_ATTRIBUTE: host.hardware.variant,
        "fleet.ring": store.ring,
    }
    if host.hardware.accelerator:
        attributes[ACCELERATOR_ATTRIBUTE] = host.hardware.accelerator
    return {**host.attributes, **attributes}


def differing(wanted: Mapping[str, str], seen: Mapping[str, str]) -> dict[str, str]:
    """Return the wanted entries that are missing or have another value in ``seen``."""
    return {name: value for name, value in wanted.items() if seen.get(name) != value}
