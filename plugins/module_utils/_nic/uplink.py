# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What an uplink is: a NIC in a bridge of its own, which has the NIC's addresses and looks like the NIC from outside."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace

from .._common import names
from .._host.desired import File, IngressDrop, Link, NoOffload
from .._ovsdb.rows import Owner, Row
from .steps import address_move

# Who can need a NIC in its bridge, and how a sentence calls it. The NIC goes back when nobody needs it any more.
USERS = {
    "request": "somebody asked for it (nics_to_bridge)",
    "node": "this host's tunnels leave through it (userspace datapath)",
    "gateway": "the shared gateway leads outside through it",
}


@dataclass(frozen=True)
class UplinkHost:
    """Settings of an uplink.

    :ivar nic: the NIC.
    :ivar mac, mtu: of the NIC, and so of the bridge.
    :ivar datapath_type: system or netdev.
    :ivar promiscuous: whether the NIC took in what is for others before it went into the bridge; then the bridge does.
    """

    nic: str
    mac: str
    mtu: int
    datapath_type: str
    promiscuous: bool = False


def owner(nic):
    """Whose rows an uplink's are."""
    return Owner("Uplink", nic)


def rows(host):
    """The uplink's rows in the host's own Open_vSwitch database; ``host`` None: none."""
    if host is None:
        return []
    made = uplink_rows(owner(host.nic), host.nic, host.mac, "netdev" if host.datapath_type == "netdev" else "")
    # Left alone, Open vSwitch gives the bridge the smallest MTU of its ports, and a new bridge 1500.
    return [
        Row(row.table, row.owner, row.role, row.name, row.parent, dict(row.columns, mtu_request=(host.mtu,)))
        if row.role == "uplink-bridge-interface"
        else row
        for row in made
    ]


def uplink_rows(whose, nic, mac, datapath):
    """A bridge that has a NIC as its way out and looks like the NIC from outside (other_config:hwaddr)."""
    bridge = names.uplink_bridge(nic)
    return [
        Row(
            "Bridge",
            whose,
            "uplink-bridge",
            bridge,
            ".",
            {
                "datapath_type": datapath,
                "fail_mode": ("standalone",),
                "other_config": {"hwaddr": mac},
                "external_ids": {names.UPLINK_KEY: nic},
            },
        ),
        Row("Port", whose, "uplink-bridge-port", bridge, bridge, {}),
        Row("Interface", whose, "uplink-bridge-interface", bridge, bridge, {"type": "internal"}),
        Row("Port", whose, "uplink-port", nic, bridge, {}),
        Row("Interface", whose, "uplink-interface", nic, nic, {}),
    ]


def state(host):
    """The uplink's state of the host's kernel, once the rows are there."""
    netdev = host.datapath_type == "netdev"
    bridge = names.uplink_bridge(host.nic)
    return replace(
        address_move(host.nic, bridge),
        links=(
            Link(host.nic, owned=False),
            Link(bridge, owned=False, promiscuous=host.promiscuous or None),
        ),
        no_offloads=(NoOffload(host.nic),) if netdev else (),
        drops=(IngressDrop(host.nic),) if netdev else (),
    )


def state_gone(nic, datapath_type):
    """What the kernel holds before the rows go: the NIC has back what it had. Drops are of the userspace datapath alone: others may lack nftables."""
    return replace(
        address_move(names.uplink_bridge(nic), nic),
        absent_drops=(IngressDrop(nic),) if datapath_type == "netdev" else (),
    )


def kept_file(nic, kept):
    """The file from which a boot makes the uplink again; ``kept`` None: no uplink. It has other files' content in it: nobody else may read it."""
    return File(
        names.uplink_file(nic), None if kept is None else json.dumps(kept, indent=2, sort_keys=True) + "\n", 0o600
    )
