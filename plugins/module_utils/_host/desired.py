# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is wanted of a host: links, addresses, routes, kernel settings and files. Data only, no input or output."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

MAIN_TABLE = 254  # rt_tables: main


@dataclass(frozen=True)
class Link:
    """A link that somebody else (Open vSwitch) makes, wanted up.

    :ivar mtu: in bytes; None: as it is.
    :ivar mac: aa:bb:cc:dd:ee:ff; None: as it is.
    :ivar promiscuous: whether it takes in what is for others; None: as it is.
    :ivar owned: addresses and routes on it that are not wanted go. What the kernel itself put there stays:
        link-local addresses, router advertisements' addresses and routes, routes of the addresses.
    """

    name: str
    mtu: int | None = None
    mac: str | None = None
    owned: bool = True
    promiscuous: bool | None = None


@dataclass(frozen=True)
class Address:
    """An address with its prefix length, such as 192.168.2.2/24 or fd10::2/64 (IPv6: usable at once, RFC 4862's test for duplicates is skipped)."""

    link: str
    cidr: str


@dataclass(frozen=True)
class Route:
    """A unicast route; it takes the place of another one with the same destination, metric and table.

    :ivar destination: CIDR; 0.0.0.0/0 and ::/0 are the default routes.
    :ivar via: the next hop, None: the destination is on the link.
    :ivar metric: None: the kernel's own, 0 (IPv6: 1024).
    """

    link: str
    destination: str
    via: str | None = None
    metric: int | None = None
    table: int = MAIN_TABLE


@dataclass(frozen=True)
class Sysctl:
    """A kernel setting, as sysctl(8) writes keys: dots between the parts, or slashes where a link's name has dots.

    Written to /proc/sys only: after a boot it has to be set again.
    """

    key: str
    value: str

    @property
    def parts(self):
        """The parts of the key: the first separator is the one that separates."""
        first = next((sign for sign in self.key if sign in "./"), ".")
        if first == "/":
            return tuple(self.key.strip("/").split("/"))
        return tuple(part.replace("/", ".") for part in self.key.split("."))

    @property
    def link(self):
        """The link whose setting this is, None for one of the whole host."""
        parts = self.parts
        if (
            len(parts) > 4
            and parts[0] == "net"
            and parts[2] in ("conf", "neigh")
            and parts[3] not in ("all", "default")
        ):
            return parts[3]
        return None


@dataclass(frozen=True)
class File:
    """A file; ``content`` None: there is none. One that not everybody may read is a secret: no plan shows its content."""

    path: str
    content: str | None = field(repr=False)
    mode: int = 0o644


@dataclass(frozen=True)
class Uplink:
    """A NIC in a bridge: the NIC's addresses, routes and rules are the bridge's instead; ``restore``: the NIC's again."""

    nic: str
    bridge: str
    restore: bool = False


@dataclass(frozen=True)
class Plain:
    """A NIC without addresses and routes, since something else uses it."""

    nic: str


@dataclass(frozen=True)
class Given:
    """What a NIC had, and is to have again.

    :ivar addresses, routes: as :mod:`.found` has them.
    :ivar offloads: names of those that were on.
    """

    nic: str
    addresses: tuple = ()
    routes: tuple = ()
    offloads: tuple = ()


@dataclass(frozen=True)
class Offload:
    """A link on which the kernel finishes checksums and segments itself: what reads packets off it gets them whole (userspace datapath)."""

    link: str


@dataclass(frozen=True)
class IngressDrop:
    """A NIC whose packets the host's own stack does not see, since the userspace datapath reads them off it first."""

    link: str


@dataclass(frozen=True)
class Profile:
    """NetworkManager's profile of a NIC.

    :ivar uuid: by which it knows it.
    :ivar on_bridge: whether it is to configure the bridge by a copy; False: it leaves the bridge alone.
    :ivar client_id, token: what the copy says beside, so that the bridge is the same DHCP client (bytes as 01:02) and has the same interface identifier
        (as ::1); empty: nothing.
    :ivar metric: of its routes, where the NIC's profile says none: NetworkManager has one for each sort of device; -1: nothing.
    """

    uuid: str
    on_bridge: bool = False
    client_id: str = ""
    token: str = ""
    metric: int = -1


@dataclass(frozen=True)
class Handover:
    """A network manager that is told when its files have changed: what it did for a NIC it does for the NIC's bridge, or again for the NIC.

    :ivar manager: a name of :mod:`.managed`.
    :ivar paths: the files; as long as none of them changes nobody is told.
    :ivar early: it is told before addresses move too, since it would put them back.
    :ivar profile: NetworkManager's :class:`Profile` of the NIC.
    """

    manager: str
    nic: str
    bridge: str
    paths: tuple = ()
    to_bridge: bool = True
    early: bool = False
    profile: Profile | None = None

    def back(self):
        """The same the other way."""
        return replace(self, to_bridge=not self.to_bridge, early=False)


@dataclass(frozen=True)
class HostState:
    """All that is wanted of a host; what it does not name stays as it is.

    :ivar absent_drops: drops that are not wanted any more.
    """

    links: tuple = ()
    addresses: tuple = ()
    routes: tuple = ()
    sysctls: tuple = ()
    files: tuple = ()
    handovers: tuple = ()
    uplinks: tuple = ()
    plains: tuple = ()
    given: tuple = ()
    offloads: tuple = ()
    drops: tuple = ()
    absent_drops: tuple = ()


@dataclass(frozen=True)
class NodePort:
    """A port that each of the host's own addresses answers for a service.

    :ivar protocol: tcp, udp, sctp.
    :ivar cluster: (IP version, ((address, port), ...)) of the service itself, or of all its endpoints.
    :ivar local: (IP version, ((address, port), ...)) of the endpoints on this host, when what comes from outside stays here; else None.
    :ivar elsewhere: the same of the node port at hosts that have endpoints, for this host's own connections where it has none.
    :ivar affinity: whether a client keeps its endpoint.
    """

    protocol: str
    port: int
    cluster: tuple
    local: tuple | None = None
    elsewhere: tuple = ()
    affinity: bool = False


@dataclass(frozen=True)
class OwnService:
    """An address of a service at which the host itself leads its own connections: the service has an endpoint of the host, or the address is outside.

    :ivar endpoints: (address, port) of where they lead.
    """

    version: int
    protocol: str
    address: str
    port: int
    endpoints: tuple
    affinity: bool = False


@dataclass(frozen=True)
class HostPort:
    """A port of the host that is a pod's.

    :ivar address: of the host; None: all of one IP version.
    :ivar target: (address, port) of the pod.
    """

    version: int
    protocol: str
    port: int
    address: str | None
    target: tuple


@dataclass(frozen=True)
class ServiceRules:
    """What the host's own stack does for services, and for pods with host ports.

    :ivar link: the management port's.
    :ivar inside: the pods' networks.
    :ivar hosts: addresses of the cluster's hosts.
    """

    link: str
    inside: tuple
    hosts: tuple
    node_ports: tuple = ()
    own: tuple = ()
    host_ports: tuple = ()
