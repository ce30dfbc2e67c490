# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Refuse what other programs have in this host's Open vSwitch, and would lose to the overlay, or take from it.

ovn-controller deletes all flows of the integration bridge that it has not made itself. An OpenFlow controller of
another program does the same with those of ovn-controller.
"""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .._common import names, remotes
from .._common.errors import DatabaseError, FlowError, HostError
from .._host.rows import COLUMNS, OVN_CONTROLLER_KEYS
from .._openflow.flows import other_flows
from .._ovsdb.access import CHASSIS_TLS
from .._ovsdb.connection import Connection
from .._ovsdb.converge import read_rows
from .._ovsdb.rows import CurrentRow, Query, by_name
from .._ovsdb.values import as_set

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from .._ovsdb.converge import Database

PATIENCE = 3.0  # seconds for Open vSwitch to answer
NAMED = 3  # ports that a sentence names; the others are counted
ACTIVE = ("tcp:", "ssl:")  # targets that Open vSwitch itself connects to (ovs-vswitchd.conf.db(5), Manager)
LOCALNET_KEYS = ("ovn-localnet-port", "ovn-l3gateway-port")  # of ovn-controller's ports on other bridges


@dataclass(frozen=True)
class Bridge:
    """A bridge, with what says whose it is.

    :ivar controllers: targets of its OpenFlow controllers.
    :ivar ports: its ports, without its own.
    """

    row: CurrentRow
    controllers: tuple[str, ...]
    ports: tuple[CurrentRow, ...]

    @property
    def name(self) -> str:
        """Its name."""
        return str(self.row.name)

    @property
    def is_ours(self) -> bool:
        """Whether it has owner keys of ours."""
        return self.row.controller == names.CONTROLLER

    def foreign_ports(self, keys: Iterable[str]) -> list[str]:
        """Return the names of the ports that are neither ours nor ovn-controller's.

        :param keys: keys of external_ids, one of which ovn-controller's ports have.
        """
        keys = tuple(keys)
        return sorted(
            str(port.name)
            for port in self.ports
            if port.controller != names.CONTROLLER and not any(port.external_id(key) for key in keys)
        )


def read_bridge(database: Database, name: str) -> Bridge | None:
    """Read a bridge; None: there is none of this name."""
    columns = ("name", "ports", "controller", "fail_mode", "external_ids")
    row = next(iter(read_rows(database, [by_name("Bridge", name, columns)])), None)
    if row is None:
        return None
    ports, controllers = set(as_set(row.columns["ports"])), set(as_set(row.columns["controller"]))
    found = read_rows(
        database, [Query("Port", (), ("name", "interfaces", "external_ids")), Query("Controller", (), ("target",))]
    )
    return Bridge(
        row,
        tuple(sorted(one.columns["target"] for one in found if one.table == "Controller" and one.uuid in controllers)),
        tuple(one for one in found if one.table == "Port" and one.uuid in ports and one.name != name),
    )


def refuse_other_identity(settings: CurrentRow | None, southbound: str | None) -> None:
    """Refuse settings by which ovn-controller uses another bridge, or another Southbound database for this chassis.

    A key with "-" and the system-id at its end comes before the one without (ovn-controller(8)).

    :param settings: the row of the table Open_vSwitch.
    :param southbound: remote of our Southbound database; None: not known, so any is ours.
    :raises HostError: there are such.
    """
    if settings is None:
        return
    of_chassis = f"-{settings.external_id('system-id')}"
    bridge = names.INTEGRATION_BRIDGE
    for key, own in (
        ("ovn-bridge", bridge),
        (f"ovn-bridge{of_chassis}", bridge),
        (f"ovn-remote{of_chassis}", southbound),
    ):
        value = settings.external_id(key)
        if own is not None and value not in (None, own):
            raise HostError(
                f"external_ids:{key} of this host's Open_vSwitch table is {value}, so ovn-controller does not use "
                f"{own}: take the host out there and remove the key (ovs-vsctl remove Open_vSwitch . external_ids "
                f"{key}), or use another host"
            )


def other_overlay(southbound: str) -> str:
    """Return why the host with this Southbound database, which is not ours, can't become a node."""
    return (
        f"this host is a chassis of another OVN already (ovn-remote {southbound}): take it out there, "
        "and remove external_ids:ovn-remote from its Open_vSwitch table"
    )


def same_database(first: str, second: str) -> bool:
    """Return whether two remotes are of the same database: the same text, or members in common.

    The protocol and the list change while the database stays: with TLS, and with more masters or less.
    """
    return first == second or bool(set(remotes.addresses(first)) & set(remotes.addresses(second)))


def refuse_other_tls(database: Database) -> None:
    """Refuse Open vSwitch's TLS files of another program, which the chassis would take the place of.

    Open vSwitch has one key for all its connections. Where it is ours by its paths, nothing is lost.

    :raises HostError: there are such.
    """
    for row in read_rows(database, [by_name("SSL", ".", COLUMNS["SSL"])]):
        ours = all(row.columns[column] == path for column, path in CHASSIS_TLS.items())
        if row.controller != names.CONTROLLER and not ours:
            raise HostError(
                f"Open vSwitch on this host has the TLS files of another program (private_key "
                f"{row.columns['private_key']}), and it can have one key only, which the chassis needs: take them out "
                "there (ovs-vsctl del-ssl), or use another host"
            )


def refuse_other_overlay(settings: CurrentRow | None, southbound: str) -> None:
    """Refuse a host that is a chassis of another OVN; :raises HostError: then.

    A host with rows of ours need not be asked: a run that did not come to its end has set the database.

    :param settings: the row of the table Open_vSwitch.
    """
    current = settings.external_id("ovn-remote") if settings else None
    if current is not None and not same_database(current, southbound):
        raise HostError(other_overlay(str(current)))


def foreign_facts(remote: str = names.LOCAL_SOCKET) -> dict[str, str]:
    """Return what of others this host's Open vSwitch has, while the host is no node; empty texts on nodes.

    ``foreign`` is why it can't become a node, as far as that does not depend on settings; empty: it can.
    ``southbound_before`` is the Southbound database that it has. The controller asks every host before the first change
    on any. What can't be read now is refused by the host later.
    """
    found = {"foreign": "", "southbound_before": ""}
    if os.path.exists(names.NODE_SETTINGS) or not os.path.exists(remote.partition(":")[2]):
        return found
    try:
        connection = Connection(remote, names.LOCAL, PATIENCE)
    except DatabaseError:
        return found
    try:
        settings = next(iter(read_rows(connection, [by_name("Open_vSwitch", ".", ("external_ids",))])), None)
        southbound = (settings.external_id("ovn-remote") or "") if settings else ""
        bridge = read_bridge(connection, names.INTEGRATION_BRIDGE)
        found["southbound_before"] = "" if bridge is not None and bridge.is_ours else southbound
        refuse_other_identity(settings, None)
        refuse_integration_bridge(connection, remote, bool(southbound))
    except HostError as error:
        found["foreign"] = str(error)
    except (DatabaseError, FlowError):
        pass
    finally:
        connection.close()
    return found


def refuse_integration_bridge(database: Database, remote: str, is_chassis: bool) -> None:
    """Refuse a br-int that another program uses. One that is ours, or that ovn-controller has made, is not refused.

    :param remote: the database's remote, beside which the bridges' sockets are.
    :param is_chassis: whether ovn-controller has a Southbound database: then the flows are its own.
    :raises HostError: another program uses it.
    :raises FlowError: its flows can't be read.
    """
    bridge = read_bridge(database, names.INTEGRATION_BRIDGE)
    if bridge is not None and bridge.is_ours:
        return
    managers = _managers(database)
    active = [target for target in managers if target.startswith(ACTIVE)]
    if active:
        raise HostError(
            f"Open vSwitch on this host is managed by {_list(active)}, which would change or delete what the overlay "
            "makes: take the host out there and remove the manager (ovs-vsctl del-manager), or use another host"
        )
    if bridge is None:
        return
    found = _signs(bridge, OVN_CONTROLLER_KEYS, () if is_chassis else _flows(bridge.name, remote))
    if managers:
        found.append(f"this Open vSwitch the manager {_list(managers)}")
    if found:
        raise HostError(
            f"{bridge.name} on this host is another program's, whose flows would vanish: it has {_all(found)}; take "
            f"the host out there and remove the bridge (ovs-vsctl del-br {bridge.name}), or use another host"
        )


def refuse_uplink_bridge(database: Database, remote: str, name: str) -> None:
    """Refuse a bridge to the physical network that another program controls. A NIC in it, and ports of virtual machines
    do not say so, patch ports do.

    :param remote: the database's remote, beside which the bridges' sockets are.
    :raises HostError: another program controls it.
    :raises FlowError: its flows can't be read.
    """
    bridge = read_bridge(database, name)
    if bridge is None or bridge.is_ours:
        return
    found = _signs(_patches(database, bridge), LOCALNET_KEYS, _flows(name, remote), may_learn=True)
    if found:
        raise HostError(
            f"bridge {name} on this host is controlled by another program: it has {_all(found)}; take it out there, or "
            "name a bridge that the gateway has for itself"
        )


def refuse_new_uplink(database: Database, nic: str) -> None:
    """Refuse a NIC, for a bridge of its own, that is in a bridge of another program, or whose bridge is one.

    :raises HostError: it is.
    """
    name = names.uplink_bridge(nic)
    bridge = read_bridge(database, name)
    if bridge is not None and not bridge.is_ours:
        raise HostError(
            f"the bridge {name} on this host is another program's, and the gateway's NIC {nic} needs one of this name: "
            f"remove it (ovs-vsctl del-br {name}), or name another NIC"
        )
    port = next(iter(read_rows(database, [by_name("Port", nic, ("name", "external_ids"))])), None)
    if port is not None and port.controller != names.CONTROLLER:
        raise HostError(
            f"the gateway's NIC {nic} is in another program's bridge of Open vSwitch already: take it out there "
            f"(ovs-vsctl del-port {nic}), or name another NIC"
        )


def refuse_other_mapping(database: Database, settings: CurrentRow | None, wanted: str) -> None:
    """Refuse a mapping of our physical network to a bridge that is not ours: it would be replaced, and be lost.

    :param settings: the row of the table Open_vSwitch.
    :param wanted: the bridge that the network is to be mapped to.
    :raises HostError: there is such a mapping.
    """
    text = (settings.external_id("ovn-bridge-mappings") if settings else None) or ""
    for network, _colon, mapped in (member.strip().partition(":") for member in text.split(",")):
        if network == names.PHYSICAL_NETWORK and mapped != wanted:
            bridge = read_bridge(database, mapped)
            if bridge is not None and not bridge.is_ours:
                raise HostError(
                    f"external_ids:ovn-bridge-mappings of this host's Open_vSwitch table maps {network} to the bridge "
                    f"{mapped} of another program: remove {network}:{mapped} there, or use another host"
                )


def _signs(bridge: Bridge, keys: Sequence[str], flows: Sequence[str], may_learn: bool = False) -> list[str]:
    """Return what says that a bridge is another program's, in words.

    :param may_learn: whether it may be a learning switch (fail_mode standalone).
    """
    ports = bridge.foreign_ports(keys)
    found = []
    if bridge.controllers:
        found.append(f"the controller {_list(bridge.controllers)}")
    if ports:
        found.append(f"the port{'' if len(ports) == 1 else 's'} {_list(ports)}")
    if flows:
        found.append("1 flow" if len(flows) == 1 else f"{len(flows)} flows")
    if "standalone" in as_set(bridge.row.columns["fail_mode"]) and not may_learn:
        found.append("the fail_mode standalone")
    return found


def _patches(database: Database, bridge: Bridge) -> Bridge:
    """Return a bridge with those of its ports that lead to another bridge."""
    patches = {row.uuid for row in read_rows(database, [Query("Interface", (("type", "==", "patch"),), ("type",))])}
    ports = (port for port in bridge.ports if patches.intersection(as_set(port.columns["interfaces"])))
    return Bridge(bridge.row, bridge.controllers, tuple(ports))


def _managers(database: Database) -> list[str]:
    """Return the targets of the database's managers."""
    return sorted(row.columns["target"] for row in read_rows(database, [Query("Manager", (), ("target",))]))


def _flows(bridge: str, remote: str) -> list[str]:
    """Return the flows of a bridge that are not ours.

    A bridge without a socket has none: ovs-vswitchd does not run, or could not make it. ovn-controller asks for a
    br-int of the kernel's datapath before it knows of any other.
    """
    kind, _colon, path = remote.partition(":")
    socket = f"{os.path.dirname(path)}/{bridge}.mgmt" if kind == "unix" else ""
    if socket and not os.path.exists(socket):
        return []
    try:
        return asyncio.run(other_flows(f"unix:{socket}" if socket else bridge, names.FLOW_COOKIE))
    except FlowError as error:
        raise FlowError(f"whose the flows of {bridge} on this host are can't be seen: {error}") from None


def _list(words: Sequence[str]) -> str:
    """Return words as a list with commas, and how many more there are."""
    more = len(words) - NAMED
    return ", ".join(words[:NAMED]) + (f" and {more} more" if more > 0 else "")


def _all(parts: Sequence[str]) -> str:
    """Return parts of a sentence, joined."""
    return ", ".join(parts[:-1]) + (" and " if len(parts) > 1 else "") + parts[-1]
