# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the Northbound database and the settings say about whose an address is, for the address book."""

from __future__ import annotations

import contextlib
import ipaddress
import urllib.parse
from collections.abc import Iterator, Sequence

from .._common import addressing, names
from .._common.errors import SettingsError
from .._kube.settings import ROUTER, Settings
from .._ovsdb.replica import Replica
from .._ovsdb.rows import CurrentRow
from .address_book import EXTERNAL_ROUTER, SERVICES_USE, AddressBook, Owner

PODS_USE, JOIN_USE = "the pods' network", "the join network"


def split(text: str | None) -> tuple[str, ...]:
    """Return the members of a comma-separated list."""
    return tuple(member for member in (text or "").split(",") if member)


def set_known_addresses(book: AddressBook, settings: Settings) -> None:
    """Put the addresses into the book that the settings name: those of the inventory, and of the API server."""
    for ip, node in settings.host_addresses.items():
        owner = EXTERNAL_ROUTER if node == ROUTER else Owner(f"node {node}" if node else "a master", node=node)
        book.set_owner(f"settings {ip}", owner, [ip])
    for text in settings.servers:
        url = urllib.parse.urlsplit(text)
        server = addressing.unicast(url.hostname)
        if server is not None:
            port = url.port or {"http": 80}.get(url.scheme, 443)
            book.set_owner(f"settings {text}", Owner("the API server", ports=frozenset({("TCP", port)})), [server])


def _of_node(name: str) -> Iterator[tuple[str, Owner, str]]:
    """Yield what the row of a node tells: source, owner, and the key of the addresses."""
    yield f"host of {name}", Owner(f"node {name}", node=name), names.ENCAP_IPS_KEY


def _of_gateway(name: str) -> Iterator[tuple[str, Owner, str]]:
    """Yield what the row of a gateway's router tells: its own addresses, and those of the routers behind it."""
    yield f"gateway {name}", Owner(f"gateway {name}", node=name), names.PHYSICAL_IPS_KEY
    yield f"next hop of {name}", EXTERNAL_ROUTER, names.NEXT_HOPS_KEY


WRITTEN = {("Logical_Switch", "Node"): _of_node, ("Logical_Router", "Gateway"): _of_gateway}  # by table and owner type


class Surroundings:
    """Follow the rows that tell of the overlay's networks, of nodes and of gateways.

    :param replica: the Northbound database.
    :param service_subnets: the networks that the API server takes cluster addresses from.
    """

    def __init__(self, replica: Replica, book: AddressBook, service_subnets: Sequence[str]) -> None:
        self._replica = replica
        self._book = book
        self._service_subnets = tuple(service_subnets)
        book.set_networks((subnet, SERVICES_USE) for subnet in self._service_subnets)

    def owners_changed(self, table: str, old: CurrentRow | None, new: CurrentRow | None) -> tuple[set[str], set[str]]:
        """Take in what a change of a switch or a router says of nodes and gateways, which masters write as the
        inventory has them; return the keys of the services that it concerns, and the addresses.
        """
        services: set[str] = set()
        addresses: set[str] = set()
        for row in (old, new):
            owner = row.owner if row else None
            if row is None or owner is None or (table, owner.type) not in WRITTEN:
                continue
            now = new if row is new else None
            for source, one, key in WRITTEN[table, owner.type](owner.name):
                services |= self._book.set_owner(source, one, _addresses(now.external_id(key) if now else None))
                addresses.update(_addresses(row.external_id(key)))
        return services, addresses

    @property
    def service_subnets(self) -> tuple[str, ...]:
        """The networks of services."""
        return self._service_subnets

    def set_service_subnets(self, subnets: Sequence[str]) -> bool:
        """Replace the networks of services; return whether the overlay's networks have changed by it."""
        self._service_subnets = tuple(subnets)
        return self._book.set_networks(dict(self._networks()).items())

    def why_not_services(self, subnet: str) -> str | None:
        """Return why a network can't be one of services, in a clause; None when it can."""
        network = ipaddress.ip_network(subnet)
        for other, use in self._networks_of_others():
            if addressing.networks_overlap(network, ipaddress.ip_network(other)):
                return f"overlaps {use} {other}"
        known = self._book.known_within(network)
        return f"has {known[0]}, an address of {known[1].name}" if known else None

    def _networks_of_others(self) -> Iterator[tuple[str, str]]:
        """Yield the networks of pods, routers and gateways, each with its use."""
        yield from ((text, use) for text, use in self._networks() if use != SERVICES_USE)
        for row in self._replica.rows["Logical_Router"].values():
            for cidr in split(row.external_id(names.PHYSICAL_IPS_KEY)):
                with contextlib.suppress(ValueError):  # whoever wrote the row
                    yield str(ipaddress.ip_interface(cidr).network), f"the network of gateway {row.name}"

    def networks_changed(self, table: str, row: CurrentRow | None) -> bool:
        """Take in a change of a row; return whether the overlay's networks have changed by it."""
        if table != "Logical_Switch" or row is None:
            return False
        join = self._join()
        # One of an earlier release does not tell the cluster's networks: its nodes' subnets stand for them.
        is_source = row.name == names.JOIN_SWITCH or (join is not None and not join.external_id(names.JOIN_SUBNETS_KEY))
        return is_source and self._book.set_networks(dict(self._networks()).items())

    def _join(self) -> CurrentRow | None:
        return self._replica.named("Logical_Switch", names.JOIN_SWITCH)

    def _networks(self) -> Iterator[tuple[str, str]]:
        """Yield the overlay's networks, each with its use."""
        join = self._join()
        if join is not None and join.external_id(names.JOIN_SUBNETS_KEY):
            texts = [
                (join.external_id(names.CLUSTER_SUBNETS_KEY), PODS_USE),
                (join.external_id(names.JOIN_SUBNETS_KEY), JOIN_USE),
            ]
        else:
            switches = self._replica.rows["Logical_Switch"].values()
            texts = [(row.external_id(names.SUBNETS_KEY), PODS_USE) for row in switches]
        yield from ((subnet, SERVICES_USE) for subnet in self._service_subnets)
        for text, use in texts:
            for subnet in split(text):
                with contextlib.suppress(SettingsError):  # whoever wrote the row
                    yield str(addressing.network(subnet)), use


def _addresses(text: str | None) -> list[str]:
    """Return the addresses of a comma-separated list, without their prefix lengths."""
    return [ip for ip in (addressing.unicast(part.split("/")[0]) for part in split(text)) if ip]
