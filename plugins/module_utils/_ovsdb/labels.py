# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What plans and messages call a row: by its name, and a row without one as network engineers call it, with what it is
for."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from .._common.names import CLUSTER_ROUTER, gateway_router
from .schema import SINGLETONS

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

DEFAULT = ("0.0.0.0/0", "::/0")


class Purpose(NamedTuple):
    """What a row is for, and whether it is on the router of its gateway, not on the cluster's."""

    text: str
    of_gateway: bool = False


# Role without its IP version -> purpose. ``{}`` is the node, which is the gateway's host too.
PURPOSES = {
    "snat": Purpose("pods to the outside through gateway {}", of_gateway=True),
    "hop": Purpose("probe of the next hop of gateway {}", of_gateway=True),
    "cluster": Purpose("back to the pods from gateway {}", of_gateway=True),
    "outside": Purpose("next hop of gateway {}", of_gateway=True),
    "egress": Purpose("pods to the outside through gateway {}"),
    "share": Purpose("pods that leave through gateway {}"),
    "inside": Purpose("what stays inside"),
    "probe": Purpose("probe of the next hop of gateway {}"),
    "pinned": Purpose("pods that use gateway {} only"),
    "host": Purpose("addresses of host {}"),
    "link": Purpose("link-local addresses of host {}"),
    "replies": Purpose("replies to clients of node ports of host {}"),
    "unserved": Purpose("services without endpoints, for host {}"),
    "variables": Purpose("addresses of services at host {}"),
    "limit": Purpose("bandwidth of pod interface {}"),
}


def label(table: str, columns: Mapping[str, Any], role: str | None, owner: str | None) -> str:
    """Return what messages call a row.

    :param columns: those that are known of it.
    :param role, owner: what it is to its owner, and the owner's name.
    """
    if table in SINGLETONS:
        return table
    if columns.get("name"):
        return f"{table} {columns['name']}"
    stem = (role or "").split("-")[0]
    purpose = PURPOSES.get(stem, Purpose(f"{role} of {{}}"))
    router = ""
    if table in ("NAT", "Logical_Router_Static_Route", "Logical_Router_Policy"):
        router = f" on {gateway_router(str(owner)) if purpose.of_gateway else CLUSTER_ROUTER}"
    return f"{_thing(table, columns)}{router} ({purpose.text.format(owner)})"


def _thing(table: str, columns: Mapping[str, Any]) -> str:
    """Return a row in the words of its table, as far as its columns are known."""
    if table == "NAT":
        pair = ("logical_ip", "external_ip") if columns.get("type") == "snat" else ("external_ip", "logical_ip")
        before, after = (columns.get(column) for column in pair)
        return f"NAT {columns['type']} {before} to {after}" if before and after else "NAT"
    if table == "Logical_Router_Static_Route":
        prefix, hop = columns.get("ip_prefix"), columns.get("nexthop")
        return f"route {'default' if prefix in DEFAULT else prefix} via {hop}" if prefix and hop else "route"
    if table == "Logical_Router_Policy":
        hops = columns.get("nexthops")
        hop = hops[0] if isinstance(hops, tuple) and hops else hops
        priority, action = columns.get("priority"), columns.get("action")
        text = f"policy {priority} {action}" if priority and action else "policy"
        return f"{text} via {hop}" if hop else text
    return table
