# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a pod's interface is: a port of br-int, and inside the pod a link with the addresses that the watcher has written in its annotation."""

from __future__ import annotations

import ipaddress
import json
import re
from dataclasses import dataclass

from .._common import addressing, names
from .._host.desired import Address, HostState, Link, NoOffload, Route, Sysctl
from .._ovsdb.rows import Owner, Row
from .._ovsdb.values import Uuid

TYPE = "PodInterface"
MAC = re.compile(r"([0-9a-f]{2}:){5}[0-9a-f]{2}")
QUANTITY = re.compile(r"([0-9]+(?:\.[0-9]+)?)(k|M|G|T|P|Ki|Mi|Gi|Ti|Pi|)")
FACTORS = {
    "": 1,
    "k": 10**3,
    "M": 10**6,
    "G": 10**9,
    "T": 10**12,
    "P": 10**15,
    "Ki": 2**10,
    "Mi": 2**20,
    "Gi": 2**30,
    "Ti": 2**40,
    "Pi": 2**50,
}
BURST = (
    10  # a burst may hold a tenth of a second's traffic, as the Open vSwitch manual advises for ingress_policing_burst
)


class AnnotationError(ValueError):
    """An annotation of a pod can't be used; the text is one sentence."""


@dataclass(frozen=True)
class PodNetwork:
    """What a pod's annotations say.

    :ivar mac: of the interface in the pod.
    :ivar addresses: with prefix length, one of each family at most.
    :ivar gateways: next hops of the default routes.
    :ivar routes: more (destination, next hop).
    :ivar from_pod, to_pod: limits in bits a second, None: no limit.
    """

    mac: str
    addresses: tuple
    gateways: tuple = ()
    routes: tuple = ()
    from_pod: int | None = None
    to_pod: int | None = None

    def gateway(self, cidr):
        """The next hop of the default route of an address's family, None where there is none."""
        return next((ip for ip in self.gateways if addressing.family(ip) == addressing.family(cidr)), None)

    def all_routes(self):
        """(destination, next hop) of every route, the default ones first."""
        return tuple((addressing.ANYWHERE[addressing.family(ip)], ip) for ip in self.gateways) + self.routes


def network(annotations):
    """The :class:`PodNetwork` of a pod, None as long as the watcher has not written it. :raises AnnotationError: for one that can't be used."""
    name = names.POD_NETWORKS_ANNOTATION if names.POD_NETWORKS_ANNOTATION in annotations else names.POD_ANNOTATION
    text = annotations.get(name)
    if text is None:
        return None
    try:
        said = json.loads(text)
        if name == names.POD_NETWORKS_ANNOTATION:
            said = said["default"]
            addresses = said.get("ip_addresses") or [said["ip_address"]]
            gateways = said.get("gateway_ips") or [said.get("gateway_ip")]
        else:
            addresses, gateways = [said["ip_address"]], [said.get("gateway_ip")]
        mac = said["mac_address"].lower()
        if not MAC.fullmatch(mac):
            raise ValueError(f"{mac} is no MAC")
        made = PodNetwork(
            mac,
            tuple(str(addressing.interface(cidr)) for cidr in addresses),
            tuple(str(addressing.address(ip)) for ip in gateways if ip),
            tuple(
                (str(addressing.network(route["dest"])), str(addressing.address(route["nextHop"])))
                for route in said.get("routes") or ()
            ),
            _rate(annotations, names.EGRESS_BANDWIDTH),
            _rate(annotations, names.INGRESS_BANDWIDTH),
        )
    except AnnotationError:
        raise
    except KeyError as exc:
        raise AnnotationError(f"annotation {name} lacks {exc.args[0]}") from None
    except (AttributeError, OverflowError, RecursionError, TypeError, ValueError) as exc:
        raise AnnotationError(f"annotation {name} can't be used: {exc}") from None
    families = [addressing.family(cidr) for cidr in made.addresses]
    if len(families) != len(set(families)):
        raise AnnotationError(
            "annotation {} gives {}: a pod has at most one address of each family".format(
                name, ", ".join(made.addresses)
            )
        )
    return made


def _rate(annotations, name):
    """A limit in bits a second, written as a Kubernetes quantity."""
    text = annotations.get(name)
    if text is None:
        return None
    match = QUANTITY.fullmatch(text.strip())
    rate = int(float(match[1]) * FACTORS[match[2]]) if match else 0
    if not 1000 <= rate <= 10**15:
        raise AnnotationError(f"annotation {name} is {text!r}: write bits a second from 1k to 1P, like 10M")
    return rate


@dataclass(frozen=True)
class PodInterface:
    """One attachment of a pod.

    :ivar container: the sandbox's ID; ``ifname``: the link's name in the pod; the two identify the attachment.
    :ivar netns: path of the pod's network namespace.
    :ivar namespace, pod, uid: Kubernetes' names of the pod.
    :ivar mtu: of the pods' network.
    :ivar userspace: whether Open vSwitch's datapath is netdev.
    """

    container: str
    ifname: str
    netns: str
    namespace: str
    pod: str
    uid: str
    network: PodNetwork
    mtu: int
    userspace: bool

    @property
    def owner(self):
        """Whose rows these are."""
        return owner(self.container, self.ifname)

    @property
    def outer(self):
        """The host's end of the pair."""
        return names.pod_link(self.container, self.ifname)


def owner(container, ifname):
    """The owner of an attachment's rows."""
    return Owner(TYPE, f"{container}/{ifname}")


def attachment(owner_name):
    """(container, ifname): the inverse of :func:`owner`."""
    container, _sign, ifname = owner_name.partition("/")
    return container, ifname


def configuration(mtu):
    """The CNI configuration list for the kubelet's runtime. It names the version that every runtime in use knows (containerd 1.7: none after it)."""
    plugin = {"type": names.CNI_PLUGIN, "mtu": mtu}
    return json.dumps({"cniVersion": "1.0.0", "name": "ovn-kubernetes", "plugins": [plugin]}, indent=2) + "\n"


def rows(interface):
    """The rows in the host's own Open_vSwitch database; ovn-controller binds the logical port by iface-id and iface-id-ver."""
    pod, outer = interface.network, interface.outer
    rate = pod.from_pod // 1000 if pod.from_pod and not interface.userspace else 0
    limit = (
        [
            Row(
                "QoS",
                interface.owner,
                "limit",
                columns={"type": "linux-htb", "other_config": {"max-rate": str(pod.to_pod)}},
            )
        ]
        if pod.to_pod
        else []
    )
    return [
        *limit,
        Row(
            "Port",
            interface.owner,
            "port",
            outer,
            names.INTEGRATION_BRIDGE,
            {"qos": tuple(Uuid(row.owner.row_uuid(row.role)) for row in limit)},
        ),
        Row(
            "Interface",
            interface.owner,
            "interface",
            outer,
            outer,
            {
                # What comes in from the port is what leaves the pod (ovs-vswitchd.conf.db(5), "Ingress Policing"). The datapath in userspace has
                # read the packet before the kernel would drop it: there the pod's own end is limited, see inner_limit.
                "ingress_policing_rate": rate,
                "ingress_policing_burst": rate // BURST,
                "external_ids": {
                    "iface-id": names.pod_port(interface.namespace, interface.pod),
                    "iface-id-ver": interface.uid or None,
                    "attached_mac": pod.mac,
                    "ip_address": ",".join(pod.addresses),
                    "sandbox": interface.container,
                    names.NETNS_KEY: interface.netns,
                },
            },
        ),
    ]


def inner_limit(interface):
    """The rate in bits a second at which the pod's own end may send, None where Open vSwitch polices it, or nothing is limited."""
    return interface.network.from_pod if interface.userspace else None


def inner_state(interface):
    """What the pod's network namespace holds."""
    link, pod = interface.ifname, interface.network
    six = any(ipaddress.ip_interface(cidr).version == 6 for cidr in pod.addresses)
    return HostState(
        links=(Link(link, interface.mtu, pod.mac),),
        addresses=tuple(Address(link, cidr) for cidr in pod.addresses),
        routes=tuple(Route(link, destination, via) for destination, via in pod.all_routes()),
        # Runtimes that think the pod has no IPv6 switch it off.
        sysctls=(Sysctl(f"net/ipv6/conf/{link}/disable_ipv6", "0"),) if six else (),
        # The userspace datapath passes on packets with unfinished checksums as they are.
        no_offloads=(NoOffload(link),) if interface.userspace else (),
    )
