# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a host itself knows of its node, without any other host: its system-id, and the subnets that its pods have.

The controller plans from it where the Northbound database knows nothing of the node, and finds hosts that were cloned.
"""

from __future__ import annotations

import contextlib
import json
import os
from typing import TYPE_CHECKING

from .._common import addressing, names, remotes
from .._common.errors import DatabaseError, HostError, SettingsError
from .._host import facts
from .._host.certificates import read_certificates
from .._nic.moved import moved_nics
from .._ovsdb.connection import Connection
from .._ovsdb.converge import read_rows
from .._ovsdb.rows import by_name

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable
    from typing import Any

    from .._ovsdb.rows import CurrentRow

LARGEST_FILE = 65536  # bytes; the settings of a node are some hundred
PATIENCE = 3.0  # seconds for Open vSwitch to answer


def read_own_facts(tunnel_addresses: Collection[str] = ()) -> dict[str, Any]:
    """Return ``system_id``, and ``node`` and ``subnets`` as they were saved; empty where there is none.

    ``problem`` is what is wrong with the saved settings, as a sentence; empty: nothing. ``gateway`` is whether the host
    has anything of a gateway, ``central`` whether it has the overlay's databases, ``databases`` the addresses at which
    it looks for them. ``certificates`` is what :func:`read_certificates` returns. ``way_mtus`` is the least MTU of the
    ways to the other hosts' tunnels, for each IP version. ``ovn_user`` is what :func:`ovn_user` returns.

    :param tunnel_addresses: of all hosts, as far as the inventory has them.
    """
    found: dict[str, Any] = {"system_id": system_id(), "node": "", "subnets": [], "problem": ""}
    found["way_mtus"] = _way_mtus(tunnel_addresses)
    found["gateway"] = is_gateway()
    found["central"] = os.path.exists(names.CENTRAL_DROP_IN)
    found["databases"] = saved_databases()
    found["certificates"] = read_certificates()
    found["ovn_user"] = ovn_user()
    try:
        found["node"], found["subnets"] = saved_node()
    except HostError as error:
        found["problem"] = str(error)
    return found


def saved_databases(path: str = names.NODE_SETTINGS) -> list[str]:
    """Return the addresses at which the host looks for the Southbound database, as it has saved them."""
    try:
        return remotes.addresses(str(json.loads(_read(path))["southbound"]))
    except (OSError, KeyError, TypeError, ValueError):
        return []


def ovn_user(path: str = names.OVN_SYSCONFIG) -> str:
    """Return as which user the units of OVN's packages for EL run its daemons; empty: the file does not say.

    Its lines are those of systemd.exec(5), EnvironmentFile=: of several the last one counts.
    """
    try:
        lines = _read(path).splitlines()
    except (OSError, ValueError):
        return ""
    values = [value for key, equals, value in (line.strip().partition("=") for line in lines) if key == "OVN_USER_ID"]
    return values[-1].strip().strip("\"'").partition(":")[0] if values else ""


def is_gateway() -> bool:
    """Return whether the host has anything of a gateway, also where a removal was interrupted."""
    files = (names.GATEWAY_SETTINGS, names.GATEWAY_HELPER_UNIT)
    return any(map(os.path.exists, files)) or bool(moved_nics("gateway"))


def _way_mtus(tunnel_addresses: Collection[str]) -> dict[str, int]:
    try:
        return {f"IPv{version}": mtu for version, mtu in facts.way_mtus(tunnel_addresses).items()}
    except HostError:
        return {}  # Ansible's own facts have the links


def system_id(remote: str = names.LOCAL_SOCKET, file: str = names.SYSTEM_ID_FILE) -> str:
    """Return the host's system-id: what Open vSwitch has, else what it will take from its file at its start."""
    if os.path.exists(remote.partition(":")[2]):
        try:
            connection = Connection(remote, names.LOCAL, PATIENCE)
            try:
                rows = read_rows(connection, [by_name("Open_vSwitch", ".", ("external_ids",))])
            finally:
                connection.close()
            found = next((row.external_id("system-id") for row in rows), None)
            if found:
                return str(found)
        except DatabaseError:
            pass  # it does not run, or the library for it is not installed yet
    try:
        return _read(file).strip()
    except (OSError, ValueError):
        return ""


def saved_node(path: str = names.NODE_SETTINGS) -> tuple[str, list[str]]:
    """Return the node's name and subnets as the host has saved them; empty where it has saved none.

    :raises HostError: the file is damaged.
    """
    try:
        settings = json.loads(_read(path))
        name, subnets = settings["name"], settings["subnets"]
        if not isinstance(name, str) or not isinstance(subnets, list):
            raise ValueError("no name, or no list of subnets")
        return names.node_name(name), [str(addressing.network(subnet)) for subnet in subnets]
    except (FileNotFoundError, NotADirectoryError):
        return "", []
    except OSError as error:
        reason = str(error.strerror)
    except json.JSONDecodeError:
        reason = "it is no JSON"
    except (KeyError, TypeError, ValueError, SettingsError):
        reason = "it has no name, or no subnets"
    raise HostError(f"{path}, which says what subnet the host's pods have, can't be read: {reason}")


def saved_networks(path: str = names.NODE_SETTINGS) -> list[str]:
    """Return the networks that the host leads into the overlay, as it has saved them; empty where nothing is known."""
    try:
        settings = json.loads(_read(path))
        return [str(addressing.network(one)) for one in [*settings["cluster_subnets"], *(settings["routes"] or ())]]
    except (OSError, KeyError, TypeError, ValueError, SettingsError):
        return []


def saved_scale(path: str = names.NODE_SETTINGS) -> list[str]:
    """Return the keys of ovn-controller's settings by size that the host has from the overlay, as it has saved them."""
    try:
        scale = json.loads(_read(path)).get("scale") or {}
        return [str(key) for key in scale]
    except (OSError, ValueError, TypeError, AttributeError):
        return []


def own_links(rows: Iterable[CurrentRow], node: str | None = None) -> set[str]:
    """Return the overlay's own links on this host: those of its rows, and those of the node's names.

    :param rows: of the host's part of the node.
    :param node: its name; the saved one counts too.
    """
    links = {row.name for row in rows if row.role == "management-interface" and row.name}
    with contextlib.suppress(HostError):
        links |= {names.management_link(name) for name in (node, saved_node()[0]) if name}
    return links


def _read(path: str) -> str:
    """Return a file's text; :raises ValueError: it is too large, or no text."""
    with open(path, encoding="utf-8") as stream:
        text = stream.read(LARGEST_FILE + 1)
    if len(text) > LARGEST_FILE:
        raise ValueError("too large")
    return text
