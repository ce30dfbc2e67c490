# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The interface of a pod on its node: a port of br-int with the host's end of a pair of links, and the other end inside
the pod.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from .._common import addressing, names
from .._host.desired import Address, HostState, Link, NoOffload, Route, Sysctl
from .._ovsdb.rows import Owner, Row
from .._ovsdb.values import Uuid
from .annotation import PodNetwork

OWNER_TYPE = "PodInterface"
KILOBIT = 1000  # ingress_policing_rate and _burst are in kilobits, ovs-vswitchd.conf.db(5)
# a burst may hold a tenth of a second's traffic: the advice of ovs-vswitchd.conf.db(5) on ingress_policing_burst
BURSTS_A_SECOND = 10


class Attachment(NamedTuple):
    """What identifies one interface of a pod (CNI specification, "Attachment").

    :ivar container: the ID of the sandbox.
    :ivar ifname: the name of the link in the pod.
    """

    container: str
    ifname: str

    @classmethod
    def from_owner_name(cls, name: str) -> Attachment:
        """Return the attachment whose rows have this owner name."""
        container, _slash, ifname = name.partition("/")
        return cls(container, ifname)

    @property
    def owner(self) -> Owner:
        """The owner of its rows."""
        return Owner(OWNER_TYPE, f"{self.container}/{self.ifname}")

    @property
    def host_link(self) -> str:
        """The name of the host's end of the pair of links."""
        return names.pod_link(self.container, self.ifname)


@dataclass(frozen=True)
class PodInterface:
    """The desired interface of a pod.

    :ivar netns: path of the pod's network namespace.
    :ivar namespace, pod, uid: the pod in Kubernetes.
    :ivar mtu: of the pods' network, in bytes.
    :ivar userspace: whether br-int has Open vSwitch's userspace datapath (netdev).
    :ivar network_name: of the CNI configuration; empty: an earlier release has made the interface.
    """

    attachment: Attachment
    netns: str
    namespace: str
    pod: str
    uid: str
    network: PodNetwork
    mtu: int
    userspace: bool
    network_name: str = ""

    @property
    def ifname(self) -> str:
        """The name of the link in the pod."""
        return self.attachment.ifname

    @property
    def container(self) -> str:
        """The ID of the sandbox."""
        return self.attachment.container

    @property
    def pod_key(self) -> str:
        """``namespace/name`` of the pod."""
        return f"{self.namespace}/{self.pod}"

    @property
    def host_link(self) -> str:
        """The name of the host's end of the pair of links."""
        return self.attachment.host_link

    @property
    def owner(self) -> Owner:
        """The owner of its rows."""
        return self.attachment.owner

    @property
    def pod_link_rate(self) -> int | None:
        """The limit of the link in the pod, in bits a second; None: Open vSwitch limits, or nothing does.

        The userspace datapath reads a packet before the kernel could drop it. So there the link in the pod is limited.
        """
        return self.network.egress_rate if self.userspace else None


def rows(interface: PodInterface) -> list[Row]:
    """Return the rows in the host's own Open_vSwitch database; ovn-controller binds the logical port by iface-id and
    iface-id-ver.
    """
    network, link = interface.network, interface.host_link
    qos = [_qos(interface, network.ingress_rate)] if network.ingress_rate else []
    # What comes in from the port is what leaves the pod (ovs-vswitchd.conf.db(5), "Ingress Policing").
    policed = network.egress_rate // KILOBIT if network.egress_rate and not interface.userspace else 0
    return [
        *qos,
        Row(
            "Port",
            interface.owner,
            "port",
            link,
            names.INTEGRATION_BRIDGE,
            {"qos": tuple(Uuid(row.owner.row_uuid(row.role)) for row in qos)},
            # The name is a hash of the attachment: a row of that name that has lost its keys is the attachment's.
            kind="adopted",
        ),
        Row(
            "Interface",
            interface.owner,
            "interface",
            link,
            link,
            {
                "ingress_policing_rate": policed,
                "ingress_policing_burst": policed // BURSTS_A_SECOND,
                "external_ids": {
                    "iface-id": names.pod_port(interface.namespace, interface.pod),
                    "iface-id-ver": interface.uid or None,
                    "attached_mac": network.mac,
                    "ip_address": ",".join(network.addresses),
                    "sandbox": interface.attachment.container,
                    names.NETNS_KEY: interface.netns,
                    **({names.NETWORK_KEY: interface.network_name} if interface.network_name else {}),
                },
            },
            kind="adopted",
        ),
    ]


def _qos(interface: PodInterface, rate: int) -> Row:
    """Return the row that limits what goes to the pod."""
    return Row("QoS", interface.owner, "limit", columns={"type": "linux-htb", "other_config": {"max-rate": str(rate)}})


def desired_state(interface: PodInterface) -> HostState:
    """Return the desired state of the pod's network namespace."""
    link, network = interface.ifname, interface.network
    has_ipv6 = any(addressing.family(cidr) == 6 for cidr in network.addresses)
    return HostState(
        links=(Link(link, interface.mtu, network.mac),),
        addresses=tuple(Address(link, cidr) for cidr in network.addresses),
        routes=tuple(Route(link, route.destination, route.next_hop) for route in network.all_routes()),
        # Runtimes switch IPv6 off in a pod when the pod seems to have none.
        sysctls=(Sysctl(f"net/ipv6/conf/{link}/disable_ipv6", "0"),) if has_ipv6 else (),
        # The userspace datapath passes packets on with unfinished checksums.
        no_offloads=(NoOffload(link),) if interface.userspace else (),
    )
