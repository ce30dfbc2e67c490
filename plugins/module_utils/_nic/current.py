# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A NIC as it is: the rows of its bridge, and what is kept of it; and the checks whether it can go into the bridge, or
back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from .._common import names
from .._common.errors import HostError
from .._common.files import read_file
from .._host import facts
from .._host.rows import COLUMNS, LocalRows
from .._ovsdb.converge import read_rows
from .._ovsdb.rows import Query, by_name, is_uuid
from .._ovsdb.values import as_set
from . import uplink
from .link_checks import refuse_link, refuse_stacked_links
from .moved import moved_nic, users_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Set

    from .._host.desired import File
    from .._ovsdb.converge import Database
    from .._ovsdb.rows import CurrentRow
    from .moved import MovedNic
    from .uplink import UplinkSettings

DEFAULT_MTU = 1500
GATEWAY = "Gateway"  # type of the owner of the rows of a NIC that is the gateway's alone
NO_GATEWAY = "ovn_gateway with state: absent and part: host"


@dataclass(frozen=True)
class CurrentNic:
    """A NIC as it is.

    :ivar settings: of its uplink; None: it has none.
    :ivar moved: what is kept of it; None: nothing.
    """

    name: str
    settings: UplinkSettings | None
    moved: MovedNic | None

    @property
    def bridge(self) -> str:
        """The name of its bridge."""
        return names.uplink_bridge(self.name)

    @property
    def users(self) -> tuple[str, ...]:
        """Who needs it in its bridge."""
        return self.moved.users if self.moved else ()


def read_nic(connection: Database, name: str) -> CurrentNic:
    """Read a NIC.

    :raises HostError: what is kept of it can't be read.
    :raises DatabaseError: the host's Open_vSwitch database can't be read.
    """
    rows = {row.role: row for row in read_rows(connection, LocalRows(uplink.owner(name)).owned_queries())}
    moved = moved_nic(name)
    bridge, interface = rows.get("uplink-bridge"), rows.get("uplink-bridge-interface")
    settings = None
    if bridge is not None:
        mtu = as_set(interface.columns.get("mtu_request")) if interface else ()
        settings = uplink.UplinkSettings(
            name,
            bridge.map_value("other_config", "hwaddr") or "",
            mtu[0] if mtu else DEFAULT_MTU,
            bridge.columns.get("datapath_type") or "system",
            moved is not None and moved.promiscuous,
        )
    return CurrentNic(name, settings, moved)


def datapath_type(connection: Database) -> str:
    """Return the datapath that the host's Open vSwitch uses: system or netdev."""
    switch = _row_by_name(connection, "Open_vSwitch", ".")
    chosen = switch.external_id("ovn-bridge-datapath-type") if switch else None
    return chosen or ("system" if facts.has_kernel_datapath() else "netdev")


def refuse_bridge(connection: Database, nic: str, datapath: str, in_own_bridge: bool, moved: bool = False) -> None:
    """Check that a NIC can be in a bridge of its own: one for tunnels, one that host and pods share, and one that only
    a gateway uses.

    :param datapath: of the bridge, system or netdev.
    :param in_own_bridge: it is there already.
    :param moved: the bridge has what the NIC had, or gets it again now, and must not be kept from it.
    :raises HostError: it can't.
    """
    if not in_own_bridge:
        _refuse_other_use(connection, nic)
    refuse_link(nic, in_own_bridge)
    if not moved:
        refuse_stacked_links(nic, datapath, everywhere=not in_own_bridge)
    if in_own_bridge:
        return
    if _row_by_name(connection, "Port", nic) is not None:
        raise HostError(
            f"{nic} is in another bridge of Open vSwitch already: take it out (ovs-vsctl del-port {nic}), or name "
            "another NIC"
        )
    bridge = names.uplink_bridge(nic)
    is_bridge = _row_by_name(connection, "Bridge", bridge) is not None
    if is_bridge or facts.link_mac(bridge):
        raise HostError(
            f"the bridge's name {bridge} is in use already: rename or remove that {'bridge' if is_bridge else 'link'}"
        )


def _refuse_other_use(connection: Database, nic: str) -> None:
    """Refuse a NIC that is in its bridge for a use of the other kind: the host's too, or a gateway's alone.

    :raises HostError: it is; what has to come before.
    """
    port = _row_by_name(connection, "Port", nic)
    kind = port.owner.type if port and port.owner else None
    if kind == GATEWAY:
        raise HostError(f"{nic} is the gateway's alone: take the gateway away first ({NO_GATEWAY}), then run it again")
    if kind == uplink.UPLINK:
        users = users_of(nic)
        why = "; ".join(uplink.USERS.get(user, user) for user in users)
        ways = [NO_GATEWAY] if "gateway" in users else []
        ways += [f"nics_to_bridge with state: absent and used_by: {user}" for user in users]
        raise HostError(
            f"{nic} is in {names.uplink_bridge(nic)}, where the host uses it too ({why}): give it back first "
            f"({', then '.join(ways)}), then run it again"
        )


def refuse_foreign_ports(connection: Database, nic: CurrentNic) -> None:
    """Check that the bridge can be removed.

    :raises HostError: it has ports of other programs, which would be removed with it.
    """
    bridges = read_rows(connection, [Query("Bridge", (("name", "==", nic.bridge),), ("name", "ports"))])
    ports = as_set(bridges[0].columns["ports"]) if bridges else ()
    for port in read_rows(connection, [Query("Port", (is_uuid(uuid),), COLUMNS["Port"]) for uuid in ports]):
        # ovn-controller makes its own port as long as a mapping names the bridge, and removes it itself.
        if port.role is None and not port.external_id("ovn-localnet-port"):
            raise HostError(
                f"{nic.name} stays in {nic.bridge}, since {port.name} is a port of that bridge too: take it out first "
                f"(ovs-vsctl del-port {nic.bridge} {port.name})"
            )


def refuse_edited_files(nic: CurrentNic) -> None:
    """Check that the NIC's files can be restored.

    :raises HostError: somebody has changed one of them since the NIC was moved, and restoring it would undo that.
    """
    if nic.moved is None:
        return
    previous = {file.path: file for file in nic.moved.previous_files if file.content is not None}
    for file in nic.moved.files:
        current = read_file(file.path) if file.path in previous else None
        if current is not None and current.content not in (file.content, previous[file.path].content):
            raise HostError(
                f"{file.path} was changed after {nic.name} went into {nic.bridge}, and giving {nic.name} back would "
                "undo that: move the file "
                "aside, run it again, and make the change once more in the file that is there then"
            )


def refuse_shared_files(files: Mapping[str, tuple[File, ...]], new: Set[str]) -> None:
    """Check that each file has one text for all NICs.

    :param files: NIC to its files.
    :param new: the NICs that are about to move.
    :raises HostError: two NICs are configured in one file, which can't be restored for one of them alone.
    """
    seen: dict[str, tuple[str, str | None]] = {}
    for nic, own in files.items():
        for file in own:
            other, text = seen.setdefault(file.path, (nic, file.content))
            if text != file.content and new & {nic, other}:
                raise HostError(
                    f"{other} and {nic} are both configured in {file.path}, which can't be given back for one of them "
                    "alone: "
                    "give each NIC a file of its own below /etc/network/interfaces.d"
                )


def _row_by_name(connection: Database, table: str, name: str) -> CurrentRow | None:
    return next(iter(read_rows(connection, [by_name(table, name, COLUMNS[table])])), None)
