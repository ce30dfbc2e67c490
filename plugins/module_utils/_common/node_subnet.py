# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The addresses by which pods see the host of a node: its own, and that of those for whom it forwards. No I/O.

Both are the management port's (:func:`.names.management_port`), so what is for them comes to this host. Who sends is
told by them, so who may speak with the first must be this host itself:

- Network policies let the host's own connections to its own pods pass (the kubelet's probes). They compare with
  :attr:`HostAddresses.management`.
- The host forwards for clients of node ports, host ports and addresses outside, for other hosts and for pods. Where the
  answer must come back to it, they get :attr:`HostAddresses.forwarded`, which nothing lets pass.
"""

from __future__ import annotations

from typing import NamedTuple

from . import addressing

FORWARDED = 0  # offset in a node's subnet


class HostAddresses(NamedTuple):
    """The addresses of a node's host in one of the node's subnets, without prefix length.

    :ivar management: the host's own, on its management link.
    :ivar forwarded: the source of what the host forwards and translates; no link has it. It is the first address of
        the subnet, since no node ever had another one that pods don't get: every subnet has it, no two nodes have the
        same, and nothing is to be planned, given or kept. IPv4: an address as any other (Linux takes it for one since
        5.14; before it was a second broadcast address, RFC 1122, 3.3.6). IPv6: the Subnet-Router anycast address
        (RFC 4291, 2.6.1), which OVN's routers don't answer for.
    """

    management: str
    forwarded: str


def host_addresses(subnet: str) -> HostAddresses:
    """Return a host's addresses in one of its node's subnets; :raises SettingsError: it is no subnet, or too small."""
    return HostAddresses(
        addressing.nth(subnet, addressing.HOST, prefix=False), addressing.nth(subnet, FORWARDED, prefix=False)
    )
