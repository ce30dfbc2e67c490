# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What it causes when a unit does not run, or when a row, a link, a route or a file is not as it should be."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .finding import Finding

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from .._common.result import Operation

SHOWN = 8  # differences of one part that are shown; more are counted

UNITS = {
    "openvswitch-switch.service": "Open vSwitch does not start at the next boot",
    "openvswitch.service": "Open vSwitch does not start at the next boot",
    "ovsdb-server.service": "nothing on this host's Open vSwitch can change: new pods get no interface",
    "ovs-vswitchd.service": "this host forwards no packets of pods",
    "ovn-host.service": "ovn-controller does not start at the next boot",
    "ovn-controller.service": "this host is no chassis of the overlay: its pods can't be reached, and new pods hang",
    "ovn-k8s-host.service": "links, addresses and routes of the overlay do not come back after a boot",
    "ovn-k8s-node.service": "new pods on this host get no interface, and services are not kept up to date",
    "ovn-k8s-gateway-helper.service": "packets on the shared NIC are not steered to the host or to pods",
    "ovn-central.service": "OVN's databases and ovn-northd do not start at the next boot",
    "ovn-ovsdb-server-nb.service": "nothing in the overlay can change: new pods, nodes and services wait",
    "ovn-ovsdb-server-sb.service": "hosts learn of no change: new pods and restarted hosts have no network",
    "ovn-k8s-southbound-relay.service": "hosts are connected to the Southbound database through fewer masters",
    "ovn-northd.service": "hosts learn of no change: new pods, nodes and services have no network",
    "ovn-k8s-egress.service": "a gateway that is dead keeps its share of the pods' traffic to the outside",
    "ovn-k8s-watcher.service": "new pods get no address, and services are not kept up to date",
}
OTHER_UNIT = "what it runs is missing"

# By the table of a row, or the kind of a step.
OPERATIONS = {
    "Open_vSwitch": "ovn-controller has other settings than the inventory: tunnels or the way to the outside are wrong",
    "Bridge": "what is connected to this bridge has no network",
    "Port": "what is connected to this port has no network",
    "Interface": "what is connected to this port has no network",
    "Logical_Switch": "the ports of this switch have no network",
    "Logical_Switch_Port": "what is connected to this port can't be reached",
    "Logical_Router": "nothing is routed through this router",
    "Logical_Router_Port": "the networks on both sides of this port can't reach each other",
    "Logical_Router_Static_Route": "packets to these destinations are lost or take another way",
    "Logical_Router_Policy": "packets that it is for take another way",
    "NAT": "connections between pods and the outside are not translated",
    "Load_Balancer_Group": "services of this group are not served",
    "link": "no packets, or too large ones, go through this link",
    "address": "the host does not answer at this address, or answers where it should not",
    "route": "the host's packets to these destinations are lost or take another way",
    "rule": "packets of this link take another way",
    "sysctl": "the kernel drops packets of the overlay, or does not forward them",
    "file": "the programs, and the next boot, miss what is in there",
    "offload": "packets from this host arrive with wrong checksums",
    "drop": "the host itself answers packets that are for the gateway",
    "watch": "after the next reload of nftables the host itself answers packets that are for bridges",
    "watch of ports": "after the next reload of nftables this master's ports of OVN are open to everybody",
    "nftables": "whoever reaches this master's ports of OVN may try a certificate there, withdrawn hosts too",
    "openvswitch": "Open vSwitch works with another value than ovn_openvswitch_settings has, or with its default",
    "uplink": "the addresses are not where the tunnels or the gateway need them",
}
OTHER_OPERATION = "the host or the overlay is not as the inventory says"


def operations(plan: Iterable[Operation], node: str = "") -> Iterator[Finding]:
    """Yield a finding for each operation that a site run would carry out, and one that counts those beyond
    :data:`SHOWN`.

    :param node: the node that they are about.
    """
    plan = list(plan)
    for operation in plan[:SHOWN]:
        values = operation.as_dict()
        kind = str(values.get("table") or values.get("kind") or "")
        yield Finding(kind, wrong(operation), OPERATIONS.get(kind, OTHER_OPERATION), node=node)
    if len(plan) > SHOWN:
        number = len(plan) - SHOWN
        text = f"{number} more difference{'' if number == 1 else 's'}, which ovn.kubernetes.site --check --diff shows"
        yield Finding("~", text, OTHER_OPERATION, node=node)


def wrong(operation: Operation) -> str:
    """Return what is wrong where this operation is needed."""
    verb, text = operation.as_dict().get("operation"), operation.describe()
    thing = text.rpartition(": ")[0] or text
    if verb == "move":
        values = operation.as_dict()
        return f"{thing} are on {values['from']}, not on {values['to']}"
    if verb in ("insert", "add"):
        return f"{thing} is missing"
    if verb in ("delete", "remove"):
        return f"{thing} is there, and is not the overlay's any more"
    thing, _colon, rest = text.partition(": ")
    return f"{thing} differs: {rest}" if rest else f"{text} is not done"
