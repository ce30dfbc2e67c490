# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The priorities of the flows on a shared NIC's bridge, each with its meaning: the one table that code and
docs/gateways.md take them from."""

from __future__ import annotations

from dataclasses import dataclass

# OpenFlow tables: every packet enters the first, two come after conntrack, the last after a load balancer's flow.
CLASSIFY, CONNECTIONS, PODS_FRAGMENTS, KEPT_CLIENTS = 0, 1, 2, 3


@dataclass(frozen=True)
class FlowKind:
    """Flows of one table and one priority.

    :ivar table: the OpenFlow table.
    :ivar priority: the OpenFlow priority. In a table the highest one that matches wins.
    :ivar in_port: the ports that the packets come from, in words.
    :ivar matches: the packets, in words.
    :ivar output: where they go, in words.
    :ivar reason: why; empty where the flow explains itself.
    """

    table: int
    priority: int
    in_port: str
    matches: str
    output: str
    reason: str = ""

    @property
    def prefix(self) -> str:
        """Return the start of such a flow in the syntax of ovs-ofctl(8)."""
        table = f"table={self.table}," if self.table else ""
        return f"{table}priority={self.priority}"


FRAGMENT = FlowKind(
    CLASSIFY,
    210,
    "NIC, patch",
    "fragments of TCP, UDP, SCTP, ICMP; all of IPv6",
    "conntrack first",
    "only the first fragment has the ports, of IPv6 also the protocol; conntrack knows them for all",
)
TUNNEL = FlowKind(
    CLASSIFY,
    200,
    "NIC, LOCAL",
    "Geneve to or from this host's tunnel address",
    "LOCAL, NIC",
    "the overlay's own packets need no conntrack",
)
SERVICE = FlowKind(
    CLASSIFY,
    120,
    "NIC, patch",
    "a load balancer's address and port",
    "patch, NIC",
    "node ports above all; the router has its own conntrack, and a second pass costs a recirculation. "
    "To the patch by the last table where the client's address is kept",
)
NEIGHBOUR_REQUEST = FlowKind(
    CLASSIFY,
    110,
    "NIC",
    "ARP request or neighbour solicitation for the host's address",
    "LOCAL",
    "host and router would both answer; one answer is enough",
)
NEIGHBOUR = FlowKind(
    CLASSIFY,
    100,
    "NIC, patch",
    "other ARP and neighbour discovery",
    "both, NIC",
    "host and router both ask for neighbours, so both need the answers",
)
FROM_PODS = FlowKind(
    CLASSIFY,
    90,
    "patch",
    "TCP, UDP, SCTP, ICMP",
    "NIC, committed to conntrack (zone 64000, mark 1)",
    "replies are then known as the pods'",
)
NOT_KEPT_APART = FlowKind(
    CLASSIFY,
    85,
    "patch",
    "other IP: ESP, AH, GRE, IP in IP",
    "nowhere",
    "SNAT changes the address only, so the host's tunnel with the same peer would be the pod's",
)
OUTGOING = FlowKind(
    CLASSIFY,
    80,
    "patch, LOCAL",
    "all else",
    "NIC",
    "not NORMAL: the bridge would learn one MAC on two ports, in turns",
)
INCOMING = FlowKind(CLASSIFY, 50, "NIC", "TCP, UDP, SCTP, ICMP for the MAC", "conntrack, then the table below")
FOR_HOST = FlowKind(
    CLASSIFY, 40, "NIC, any other port", "all else for the MAC", "LOCAL", "other protocols are the host's"
)
REST = FlowKind(
    CLASSIFY,
    1,
    "any",
    "the rest: broadcast, multicast, other MACs, VLAN tags",
    "NORMAL",
    "router advertisements and broadcasts reach host and router",
)

ECHO_REPLY = FlowKind(
    CONNECTIONS,
    110,
    "NIC",
    "an echo reply for the pods' connection",
    "both",
    "host and pods may use the same echo identifier; who did not ask ignores the reply",
)
PODS_CONNECTION = FlowKind(
    CONNECTIONS, 100, "NIC", "the pods' connection, or an ICMP error about it", "patch", "it is the pods'"
)
SERVICE_FRAGMENT = FlowKind(
    CONNECTIONS,
    90,
    "NIC",
    "a fragment for a load balancer's port",
    "patch",
    "the flow of whole packets does not match fragments",
)
ICMP_ERROR = FlowKind(
    CONNECTIONS,
    80,
    "NIC",
    "another ICMP error",
    "both",
    "it is about the host's packets or a load balancer's; the other one drops it",
)
INVALID = FlowKind(
    CONNECTIONS,
    70,
    "NIC",
    "an invalid TCP segment with only ACK, for the pods' ports (kernel datapath)",
    "nowhere",
    "it is out of the window of a pod's connection, of which the kernel tells no mark then; the host would reset it",
)
HOSTS_CONNECTION = FlowKind(
    CONNECTIONS, 0, "NIC", "the rest", "LOCAL", "what is not the pods' is the host's, so the host's need not be tracked"
)
PODS_FRAGMENT = FlowKind(
    PODS_FRAGMENTS,
    100,
    "patch",
    "a fragment of TCP, UDP, SCTP, ICMP",
    "NIC, committed to conntrack",
    "as whole packets",
)
OTHER_FRAGMENT = FlowKind(PODS_FRAGMENTS, 0, "patch", "a fragment of another protocol", "nowhere", "as whole packets")
FROM_HOST = FlowKind(
    KEPT_CLIENTS,
    100,
    "NIC",
    "from another host of the cluster",
    "LOCAL",
    "pods answer hosts through the overlay, so the host has to translate, not the router",
)
FROM_OTHERS = FlowKind(KEPT_CLIENTS, 0, "NIC", "the rest", "patch")

KINDS = (
    FRAGMENT,
    TUNNEL,
    SERVICE,
    NEIGHBOUR_REQUEST,
    NEIGHBOUR,
    FROM_PODS,
    NOT_KEPT_APART,
    OUTGOING,
    INCOMING,
    FOR_HOST,
    REST,
    ECHO_REPLY,
    PODS_CONNECTION,
    SERVICE_FRAGMENT,
    ICMP_ERROR,
    INVALID,
    HOSTS_CONNECTION,
    PODS_FRAGMENT,
    OTHER_FRAGMENT,
    FROM_HOST,
    FROM_OTHERS,
)


def markdown_tables() -> str:
    """Return the section of docs/gateways.md: one table for each OpenFlow table."""
    lines = ["| priority | from | what | goes to | why |", "| --- | --- | --- | --- | --- |"]
    lines += [
        f"| {kind.priority} | {kind.in_port} | {kind.matches} | {kind.output} | {kind.reason} |".replace("|  |", "| |")
        for kind in KINDS
        if kind.table == CLASSIFY
    ]
    for table, title in (
        (CONNECTIONS, "after conntrack"),
        (PODS_FRAGMENTS, "fragments of IPv6 from pods"),
        (KEPT_CLIENTS, "to a load balancer that keeps the client's address"),
    ):
        lines += ["", f"| priority | {title} | goes to | why |", "| --- | --- | --- | --- |"]
        lines += [
            f"| {kind.priority} | {kind.matches} | {kind.output} | {kind.reason} |"
            for kind in KINDS
            if kind.table == table
        ]
    return "\n".join(lines) + "\n"
