# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which of the addresses that a node reports are its own.

A kubelet writes its node's addresses itself, whatever they are, and the overlay leads pods' packets to them. So one
node's credential must not be enough to draw the traffic of another node, of pods, of services or of a router.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping
from collections.abc import Set as AbstractSet
from typing import NamedTuple

from .._common import addressing
from .address_book import AddressBook, Owner, listed
from .index import Index
from .nodes import Node


class Accepted(NamedTuple):
    """The addresses of a node that count.

    :ivar refusals: the others, and why, in words.
    """

    addresses: tuple[str, ...]
    refusals: tuple[str, ...] = ()

    def message(self) -> str:
        """Return the refusals as one text for an event; empty: there are none."""
        return listed("not used as addresses of this node: ", self.refusals)


class NodeAddresses:
    """The addresses of all nodes.

    :param book: says whose an address is otherwise, and learns nodes' addresses.
    :param nodes: key -> node, the informer's store.
    :param has_route: whether a node has the route to an address already; it keeps that when another one reports the
        same address.
    """

    def __init__(
        self,
        book: AddressBook,
        nodes: Mapping[str, Node],
        has_route: Callable[[str, str], bool] = lambda _node, _ip: False,
    ) -> None:
        self._book = book
        self._nodes = nodes
        self._has_route = has_route
        self._reporting: Index[str] = Index()  # address -> keys of nodes
        self._all: set[str] = set()  # what all() returns

    def update(self, key: str, old: Node | None, new: Node | None) -> tuple[set[str], set[str]]:
        """Take in a change of a node, or of the overlay's networks; return the names of the nodes and the keys of the
        services that it concerns.
        """
        before, after = (node.addresses if node else () for node in (old, new))
        concerned = self._reporting.of(before)
        self._reporting.replace(key, before, after)
        concerned |= self._reporting.of(after) - {key}
        for ip in {*before, *after}:
            if self._reporting.get(ip) and not self._book.network_of(ip):
                self._all.add(ip)
            else:
                self._all.discard(ip)
        own = new and Owner(f"node {new.name}", reported=True)
        addresses = (
            [ip for ip in (*new.addresses, *new.outer_addresses) if not self._book.network_of(ip)] if new else ()
        )
        services = self._book.set_owner(f"node {key}", own or None, addresses)
        services |= self._book.set_routers(key, new.routers if new else ())
        return self._names(concerned), services

    def reporting(self, addresses: Iterable[str]) -> set[str]:
        """Return the names of the nodes that report one of these addresses."""
        return self._names(self._reporting.of(addresses))

    def _names(self, keys: Iterable[str]) -> set[str]:
        return {self._nodes[one].name for one in keys if one in self._nodes}

    def of(self, key: str) -> Accepted:
        """Return the addresses of a node that count."""
        node = self._nodes.get(key)
        if node is None:
            return Accepted(())
        reasons = {ip: self._why_not(key, node, ip) for ip in node.addresses}
        return Accepted(
            tuple(ip for ip, reason in reasons.items() if not reason),
            tuple(f"{ip} {reason}" for ip, reason in reasons.items() if reason),
        )

    def all(self) -> AbstractSet[str]:
        """Return the addresses of all nodes, without those that are in the overlay's networks."""
        return self._all

    def _why_not(self, key: str, node: Node, ip: str) -> str | None:
        """Return why an address is not the node's; None when it is."""
        network = self._book.network_of(ip)
        if network:
            return f"is in {network[1]} {network[0]}"
        owners = self._book.owners(ip).values()
        known = {owner.node for owner in owners} - {""}  # by the inventory, which says more than routes of others
        if node.name not in known:
            for owner in owners:
                if not owner.is_host or owner.node:
                    return f"is an address of {owner.name}"
        if _is_public(ip) and any(_is_private(other, ip) for other in node.addresses):
            return "is public, and the node has a private InternalIP: a public one is an ExternalIP"
        rivals = [key, *(one for one in self._reporting.get(ip) if one != key and one in self._nodes)]
        if known:
            rivals = [one for one in rivals if self._nodes[one].name in known]
        first = key if len(rivals) == 1 else min(rivals, key=lambda one: self._rank(one, ip))
        return None if first == key else f"is an address of node {self._nodes[first].name}"

    def _rank(self, key: str, ip: str) -> tuple[bool, str, str]:
        """Return a sort key of the nodes that report an address: who has the route to it, then the older one."""
        node = self._nodes[key]
        return not self._has_route(node.name, ip), node.created, key


@functools.lru_cache(maxsize=8192)  # all nodes' addresses are looked at for each change of one
def _is_public(ip: str) -> bool:
    return addressing.address(ip).is_global


def _is_private(other: str, ip: str) -> bool:
    """Return whether an address is a private one of the IP version of another."""
    return addressing.family(other) == addressing.family(ip) and not _is_public(other)
