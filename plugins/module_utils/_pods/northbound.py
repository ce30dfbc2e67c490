# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The logical port of a pod in the Northbound database: on its node's switch, with one address of each IP version."""

from __future__ import annotations

import functools
from typing import NamedTuple

from .._common import addressing, names
from .._common.errors import SettingsError
from .._ovsdb.rows import CurrentRow, Owner, Row
from .._ovsdb.values import as_set
from .annotation import PodAnnotations, PodNetwork, normalized_addresses
from .model import Pod

KIND = "Pod"
TABLE = "Logical_Switch_Port"
STATIC = "static"  # names.STAYS_KEY of a static pod's port; "true" is a DaemonSet's


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
        """Make it from a row of Logical_Switch; without subnets where somebody has spoiled one of them."""
        subnets = _networks(row.external_id(names.SUBNETS_KEY) or "")
        return cls(row.name or "", subnets, row.external_id(names.CHASSIS_KEY))


@functools.lru_cache(maxsize=4096)
def _networks(text: str) -> tuple[str, ...]:
    """Return the networks in a list with commas; none where one of them is no network."""
    found = tuple(filter(None, text.split(",")))
    try:
        for one in found:
            addressing.network(one)
    except SettingsError:
        return ()
    return found


def owner(key: str) -> Owner:
    """Return the owner of a pod's rows."""
    return Owner(KIND, key)


def rows(pod: Pod, switch: NodeSwitch, network: PodNetwork) -> list[Row]:
    """Return the pod's rows: a port that is locked to its MAC and its addresses."""
    line = " ".join([network.mac, *(cidr.split("/")[0] for cidr in network.addresses)])
    return [
        Row(
            TABLE,
            owner(pod.key),
            "port",
            names.pod_port(pod.namespace, pod.name),
            switch.name,
            {
                "addresses": (line,),
                "port_security": (line,),
                "options": {"iface-id-ver": pod.identity, "requested-chassis": switch.chassis},
                "external_ids": {
                    "namespace": pod.namespace,
                    names.POD_MARK: "true",
                    names.STAYS_KEY: (STATIC if pod.static_uid else "true") if pod.stays_on_drain else None,
                },
            },
            "known",
        )
    ]


def network(cidrs: tuple[str, ...]) -> PodNetwork:
    """Return the network of a pod with these addresses, whose prefix lengths are those of its node's subnets."""
    return PodNetwork(addressing.mac_of(cidrs), cidrs, tuple(map(addressing.router_of, cidrs)))


def static_pod(port: CurrentRow, switch: str) -> Pod | None:
    """Return the static pod that a port was made for; None for the port of any other pod."""
    uid = port.map_value("options", "iface-id-ver")
    if port.owner is None or port.owner.type != KIND or port.external_id(names.STAYS_KEY) != STATIC or not uid:
        return None
    namespace, _slash, name = port.owner.name.partition("/")
    return Pod(namespace, name, uid, switch, PodAnnotations(), static_uid=uid)


def is_port_of(port: CurrentRow, pod: Pod) -> bool:
    """Return whether a port of this pod's name was made for this pod."""
    uid = port.map_value("options", "iface-id-ver")
    return bool(uid) and pod.has_uid(uid or "")


def addresses_of_port(port: CurrentRow) -> tuple[str, ...]:
    """Return the addresses of a switch port, whoever made it; none for ``router``, ``unknown`` and ``dynamic``
    (ovn-nb(5)).
    """
    lines = as_set(port.columns["addresses"])
    return normalized_addresses(word for line in lines for word in line.split()[1:])
