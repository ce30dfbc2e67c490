# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""One host of the overlay, as the rows that services need of it see it."""

from __future__ import annotations

from dataclasses import dataclass

from .._ovsdb.rows import Owner

KIND = "Host"
ALL = "*"  # the owner of what all hosts have together; no node has such a name (RFC 1123)


@dataclass(frozen=True)
class Host:
    """A host.

    :ivar name: the node's name in the overlay.
    :ivar chassis: the system-id of its ovn-controller.
    :ivar subnets: of its pods.
    :ivar addresses: the node's own, without prefix length.
    :ivar gateway_addresses: of the gateway on this host, without prefix length.
    :ivar has_gateway: whether a gateway's router is on this host.
    :ivar zone: that it is in; empty: not known.
    :ivar link_local: addresses that it carries for its own pods.
    :ivar leading: those of them for which it has what all hosts need once.
    """

    name: str
    chassis: str
    subnets: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ()
    gateway_addresses: tuple[str, ...] = ()
    has_gateway: bool = False
    zone: str = ""
    link_local: tuple[str, ...] = ()
    leading: tuple[str, ...] = ()

    @property
    def owner(self) -> Owner:
        """The owner of its rows."""
        return owner(self.name)


def owner(name: str) -> Owner:
    """Return the owner of a host's rows."""
    return Owner(KIND, name)
