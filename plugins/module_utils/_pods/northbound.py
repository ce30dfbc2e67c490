# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The logical port of a pod in the Northbound database: on its node's switch, with one address of each IP version."""

from __future__ import annotations

from typing import NamedTuple

from .._common import addressing, names
from .._ovsdb.rows import CurrentRow, Owner, Row
from .._ovsdb.values import as_set
from .annotation import PodNetwork, normalized_addresses
from .model import Pod

KIND = "Pod"


class NodeSwitch(NamedTuple):
    """The logical switch of a node.

    :ivar subnets: of the node's pods.
    :ivar chassis: the system-id of the node's ovn-controller, None: not known yet.
    """

    name: str
    subnets: tuple[str, ...]
    chassis: str | None

    @classmethod
    def from_row(cls, row: CurrentRow) -> NodeSwitch:
        """Make it from a row of Logical_Switch."""
        subnets = tuple(subnet for subnet in (row.external_id(names.SUBNETS_KEY) or "").split(",") if subnet)
        return cls(row.name or "", subnets, row.external_id(names.CHASSIS_KEY))


def owner(key: str) -> Owner:
    """Return the owner of a pod's rows."""
    return Owner(KIND, key)


def rows(pod: Pod, switch: NodeSwitch, network: PodNetwork) -> list[Row]:
    """Return the pod's rows: a port that is locked to its MAC and its addresses."""
    line = " ".join([network.mac, *(cidr.split("/")[0] for cidr in network.addresses)])
    return [
        Row(
            "Logical_Switch_Port",
            owner(pod.key),
            "port",
            names.pod_port(pod.namespace, pod.name),
            switch.name,
            {
                "addresses": (line,),
                "port_security": (line,),
                "options": {"iface-id-ver": pod.uid, "requested-chassis": switch.chassis},
                "external_ids": {
                    "namespace": pod.namespace,
                    names.POD_MARK: "true",
                    names.STAYS_KEY: "true" if pod.stays_on_drain else None,
                },
            },
        )
    ]


def network(switch: NodeSwitch, cidrs: tuple[str, ...]) -> PodNetwork:
    """Return the network of a pod on this switch with these addresses."""
    gateways = {
        addressing.family(subnet): addressing.nth(subnet, addressing.ROUTER, prefix=False) for subnet in switch.subnets
    }
    return PodNetwork(addressing.mac_of(cidrs), cidrs, tuple(gateways[addressing.family(cidr)] for cidr in cidrs))


def addresses_of_port(port: CurrentRow) -> tuple[str, ...]:
    """Return the addresses of a switch port, whoever made it; none for ``router``, ``unknown`` and ``dynamic``
    (ovn-nb(5)).
    """
    lines = as_set(port.columns["addresses"])
    return normalized_addresses(word for line in lines for word in line.split()[1:])


def is_of(port: CurrentRow, network: PodNetwork) -> bool:
    """Return whether a pod's port has the MAC and the addresses of this network."""
    macs = [line.split()[0] for line in as_set(port.columns["addresses"]) if line.split()]
    addresses = sorted(cidr.split("/")[0] for cidr in network.addresses)
    return macs == [network.mac] and sorted(addresses_of_port(port)) == addresses
