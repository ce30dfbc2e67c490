# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a host should have, and what was read of it. Data only: :mod:`.checks` compares both."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from .._common.result import Operation
    from .._host.central_ports import CentralPorts
    from .._host.units import Status, Unit
    from .._pods.cni.conflist import Earlier
    from .._topology.bindings import Misplaced
    from .._topology.overlay import Overlay
    from .._topology.user_settings import Setting

NODE_SERVER, WATCHER = "ovn-k8s-node.service", "ovn-k8s-watcher.service"


@dataclass(frozen=True)
class ExpectedFile:
    """A file that the site play writes.

    :ivar sha256: of its content; None: the content is not compared.
    :ivar block: lines that it must have somewhere.
    """

    path: str
    sha256: str | None = None
    block: str = ""
    mode: int | None = None


@dataclass(frozen=True)
class Peer:
    """An address that must answer through the overlay, and the node or gateway that has it."""

    name: str
    address: str


@dataclass(frozen=True)
class Token:
    """The token of a program: its file, and the service account; empty where the user gives the token."""

    path: str
    account: str = ""


@dataclass(frozen=True)
class Expected:
    """What a host should have.

    :ivar node, gateway: settings as :meth:`.._topology.host.Host.node` and ``gateway`` take them; None: not compared.
    :ivar user_settings: users' own settings of Open vSwitch, compared with the node's part.
    :ivar shared_nic: the NIC that gateway and host share; empty: none.
    :ivar is_gateway: the gateway's part is compared.
    :ivar serves_pods: Kubernetes' pods run here.
    :ivar readiness: URL of each program that says whether it is ready -> its unit.
    :ivar peers, routers: what must answer through the overlay: hosts, and gateway routers.
    :ivar overlay: what the Northbound database must hold; None: not compared on this host.
    :ivar central_ports: who may reach the ports of this master's databases; None: it is no master, or not compared.
    """

    node: Mapping[str, Any] | None = None
    gateway: Mapping[str, Any] | None = None
    user_settings: tuple[Setting, ...] | None = None
    shared_nic: str = ""
    is_gateway: bool = False
    serves_pods: bool = False
    packages: tuple[str, ...] = ()
    units: tuple[Unit, ...] = ()
    files: tuple[ExpectedFile, ...] = ()
    tokens: tuple[Token, ...] = ()
    readiness: Mapping[str, str] = field(default_factory=dict)
    peers: tuple[Peer, ...] = ()
    routers: tuple[Peer, ...] = ()
    overlay: Overlay | None = None
    central_ports: CentralPorts | None = None


@dataclass(frozen=True)
class Compared:
    """A part of the host or of a database that was compared as check mode compares it.

    :ivar plan: what a site run would do.
    :ivar problem: why it could not be compared; empty: it was.
    """

    plan: Sequence[Operation] = ()
    problem: str = ""


@dataclass(frozen=True)
class FileState:
    """A file as it is. ``text`` is kept only where a block is looked for.

    :ivar owner: number of the user that it belongs to.
    """

    sha256: str
    mode: int
    text: str = ""
    owner: int = 0


@dataclass(frozen=True)
class PodLink:
    """A pod's interface on the host: the pod, and its MTU."""

    pod: str
    mtu: int


@dataclass(frozen=True)
class Lasting:
    """What stays as it is until somebody mends it.

    :ivar packages: those that are installed; None: the host has no package manager that is known here.
    :ivar files: path -> file, those with tokens too; None: there is none.
    :ivar tokens: path -> its text; empty: there is none.
    :ivar open_vswitch: why Open vSwitch's database can't be read; empty: it can.
    :ivar node, gateway: the host's own parts.
    :ivar central_ports: the table before the ports of a master's databases, and what loads it.
    :ivar mtu: of the pods' network, as the host's own settings say; None: not known.
    :ivar pod_links: the pods' interfaces.
    :ivar bridge_addresses: addresses of the bridge of a NIC that only the gateway uses, and the bridge's name.
    :ivar controllers: OpenFlow controllers of br-int and of the gateway's bridge: bridge -> targets.
    :ivar left_out: addresses of programs that moved with NICs into bridges, and do not come back at a boot: bridge ->
        addresses with their reasons.
    :ivar earlier_configurations: of others, which the runtime takes instead of the node server's.
    :ivar lost_plugins: that others have added to the node server's configuration, and that are not in the plugins'
        folder.
    :ivar kube_proxy: what of kube-proxy is here, in words.
    :ivar overlay: the Northbound rows.
    :ivar unfinished: the change of NICs that could not be rolled back completely, and why; empty: there is none.
    """

    packages: frozenset[str] | None = None
    files: Mapping[str, FileState | None] = field(default_factory=dict)
    tokens: Mapping[str, str] = field(default_factory=dict)
    open_vswitch: str = ""
    node: Compared = Compared()
    gateway: Compared = Compared()
    central_ports: Compared = Compared()
    mtu: int | None = None
    pod_links: tuple[PodLink, ...] = ()
    bridge_addresses: Mapping[str, Sequence[str]] = field(default_factory=dict)
    controllers: Mapping[str, Sequence[str]] = field(default_factory=dict)
    left_out: Mapping[str, Sequence[str]] = field(default_factory=dict)
    earlier_configurations: Sequence[Earlier] = ()
    lost_plugins: Sequence[str] = ()
    kube_proxy: Sequence[str] = ()
    unfinished: str = ""
    overlay: Compared = Compared()


@dataclass(frozen=True)
class Passing:
    """What comes by itself a while after a start: it is read again until it is right, or time is over.

    :ivar units: name -> status.
    :ivar systemd: why systemd does not say them; empty: it does.
    :ivar registered: whether the Southbound database has this chassis; None: not asked.
    :ivar southbound: why the Southbound database can't be read; empty: it can.
    :ivar cut_off: daemons that are not connected to a database of OVN.
    :ivar not_ready: unit -> what its program says instead of "ready".
    :ivar configuration: the runtime's network configuration; empty: there is none.
    :ivar mtu: of the pods' network, as the host's own settings say; None: not known.
    :ivar reported: what node server and watcher themselves have found, as their findings have it.
    :ivar unreported: unit -> why one of them that is ready does not say that.
    :ivar unhealthy: how kube-proxy's health check is answered instead of "healthy"; empty: it is not asked, or right.
    :ivar flows: whether the bridge of a NIC that host and pods share has flows of the gateway helper; None: not known.
    :ivar no_flows: why they can't be read; empty: they can, or were not asked for.
    :ivar misplaced: ports that are bound to chassis that they do not belong to, as the first master sees it.
    :ivar unknown_bindings: why it can't be seen; empty: it can, or was not asked for.
    :ivar silent_peers, silent_routers: those that did not answer.
    """

    units: Mapping[str, Status] = field(default_factory=dict)
    systemd: str = ""
    registered: bool | None = None
    southbound: str = ""
    not_ready: Mapping[str, str] = field(default_factory=dict)
    configuration: str = ""
    mtu: int | None = None
    reported: tuple[Mapping[str, Any], ...] = ()
    unreported: Mapping[str, str] = field(default_factory=dict)
    unhealthy: str = ""
    flows: bool | None = None
    no_flows: str = ""
    silent_peers: tuple[Peer, ...] = ()
    silent_routers: tuple[Peer, ...] = ()
    misplaced: tuple[Misplaced, ...] = ()
    unknown_bindings: str = ""
    cut_off: tuple[str, ...] = ()
