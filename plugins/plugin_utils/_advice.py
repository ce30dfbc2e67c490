# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What stops nothing, and may not be meant: tunnels on a public network, and what is left of hosts that have left the
inventory or one of its groups. Private to the collection."""

from __future__ import annotations

import ipaddress
import typing as t
from collections.abc import Iterator, Mapping

from ..module_utils._common.names import SOUTHBOUND_PORT
from ..module_utils._verify.finding import ERROR, SITE, WARNING
from ._derived import tunnel_ip
from ._inventory import GATEWAYS, Inventory
from ._known_nodes import Known, renamed
from ._report import names_of
from ._values import parse_address

if t.TYPE_CHECKING:
    from ..module_utils._common.addressing import IPAddress

ENCAP = "ovn_encap_ip"
# Networks that are not reached from everywhere: RFC 1918, 6598, 3927, 4193 and 4291.
PRIVATE = tuple(
    map(
        ipaddress.ip_network,
        ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "169.254.0.0/16", "fc00::/7", "fe80::/10"),
    )
)
REMOVE = "ansible-playbook ovn.kubernetes.remove -e ovn_remove_hosts="


class Advice(t.NamedTuple):
    """What may not be meant.

    :ivar host: the host of the inventory, or what the databases call it; several in words.
    :ivar mend: what to do; ``SITE`` stands for a run of the site play.
    """

    host: str
    wrong: str
    causes: str
    mend: str
    severity: str = WARNING

    def sentence(self) -> str:
        """Return it as one sentence."""
        return f"{self.host}: {self.wrong}; {self.causes}: {self.mend}"


def advice(inventory: Inventory, overlay: Mapping[str, t.Any]) -> list[str]:
    """Return what the site play says before it changes a host, as sentences.

    What the play takes away itself is not among it.
    """
    exposed = of_exposed_tunnels(inventory, exposed_tunnels(inventory))
    found = [*exposed, *_left_databases(inventory), *_left_nodes(inventory, overlay)]
    found += [
        one for one in left_gateways(inventory, overlay) if one.mend != SITE or not inventory.facts(one.host).known
    ]
    mends = {SITE: "run the site play without --limit, when the host can be reached"}
    return [one._replace(mend=mends.get(one.mend, one.mend)).sentence() for one in found]


def exposed_tunnels(inventory: Inventory) -> dict[str, IPAddress]:
    """Return hosts whose tunnel address is a public one by default only, with the address. Who sets it means it."""
    exposed = {}
    for host in inventory.hosts:
        address = None if inventory.is_set(host, ENCAP) else tunnel_ip(inventory, host)
        if address is not None and not is_private(address):
            exposed[host] = address
    return exposed


def of_exposed_tunnels(inventory: Inventory, exposed: Mapping[str, IPAddress]) -> list[Advice]:
    """Return what to say of such hosts, once for all of them."""
    if not exposed:
        return []
    host, address = next(iter(exposed.items()))
    others = inventory.facts(host).addresses
    inner = next((str(one) for one in others if is_private(one) and not one.is_link_local), "")
    example = f", such as {inner} on {host}" if inner else ""
    port, closed = "", ""
    if not inventory.tls:
        port = f", and on a master port {SOUTHBOUND_PORT} lets everybody change the overlay who reaches it"
        closed = f", and keep port {SOUTHBOUND_PORT} to that network"
    return [
        Advice(
            names_of(exposed),
            f"{ENCAP} is not set, and its default, the default route's address ({address} on {host}), is a public one",
            f"tunnels are not encrypted{port}",
            f"set {ENCAP} to the address on the cluster's own network{example}{closed}; if the public network is "
            f"meant, set {ENCAP} to this address",
        )
    ]


def is_private(address: IPAddress) -> bool:
    """Return whether an address is reached from parts of the world only, by its network's definition."""
    return any(network.version == address.version and address in network for network in PRIVATE)


def left_gateways(inventory: Inventory, overlay: Mapping[str, t.Any]) -> list[Advice]:
    """Return gateways that the databases or their hosts have, and the inventory does not.

    Names that may be those of hosts without a name are left out.
    """
    today = renamed(inventory, Known.of(overlay))
    existing = {today.get(name, name) for name in overlay.get("gateways") or ()}
    hosts = {inventory.node_name(host): host for host in inventory.named}
    found = []
    for name, host in hosts.items():
        has_own = inventory.facts(host).own.gateway
        if not inventory.is_gateway(host) and (name in existing or has_own):
            causes = "pods' packets leave through it" if name in existing else "its NIC is in a bridge"
            found.append(Advice(host, f"is set up as a gateway, and is not in {GATEWAYS}", causes, SITE, ERROR))
    if len(hosts) == len(inventory.hosts):
        for name in sorted(existing - set(hosts)):
            wrong = f"gateway {name} is in the overlay, and not in the inventory"
            causes = "pods' packets leave through it as long as it answers"
            found.append(Advice(name, wrong, causes, _removal(name)))
    return found


def _left_databases(inventory: Inventory) -> Iterator[Advice]:
    """Yield where hosts looked for the databases until now, when no host of the inventory has that address."""
    known = {tunnel_ip(inventory, host) for host in inventory.hosts}
    known |= {address for host in inventory.hosts for address in inventory.facts(host).addresses}
    if any(tunnel_ip(inventory, master) is None for master in inventory.masters):
        return
    former = {text for host in inventory.hosts for text in inventory.facts(host).own.databases}
    for text in sorted(former):
        if parse_address(text) not in known:
            yield Advice(
                text,
                "the overlay's databases were there until now, and no host of the inventory has this address",
                "a host that still has it goes on giving addresses to pods",
                "stop its programs there: systemctl disable --now ovn-k8s-watcher ovn-k8s-egress ovn-central",
            )


def _left_nodes(inventory: Inventory, overlay: Mapping[str, t.Any]) -> Iterator[Advice]:
    """Yield nodes that the databases have, and the inventory does not."""
    today = renamed(inventory, Known.of(overlay))
    hosts = {inventory.node_name(host) for host in inventory.named}
    if len(hosts) == len(inventory.hosts):
        for name in overlay.get("nodes") or ():
            if today.get(name, name) not in hosts:
                wrong = f"node {name} is in the overlay, and not in the inventory"
                yield Advice(name, wrong, "it keeps its subnet and its rows", _removal(name))


def _removal(name: str) -> str:
    return f"put its host into the inventory; to remove it: {REMOVE}{name}"
