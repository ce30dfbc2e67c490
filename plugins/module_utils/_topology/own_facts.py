# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a host itself knows of its node, without any other host: its system-id, and the subnets that its pods have.

The controller plans from it where the Northbound database knows nothing of the node, and finds hosts that were cloned.
"""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

from .._common import addressing, names
from .._common.errors import DatabaseError, HostError, SettingsError
from .._ovsdb.connection import Connection
from .._ovsdb.converge import read_rows
from .._ovsdb.rows import by_name

if TYPE_CHECKING:
    from typing import Any

LARGEST_FILE = 65536  # bytes; the settings of a node are some hundred
PATIENCE = 3.0  # seconds for Open vSwitch to answer


def read_own_facts() -> dict[str, Any]:
    """Return ``system_id``, and ``node`` and ``subnets`` as they were saved; empty where there is none.

    ``problem`` is what is wrong with the saved settings, as a sentence; empty: nothing.
    """
    found: dict[str, Any] = {"system_id": system_id(), "node": "", "subnets": [], "problem": ""}
    try:
        found["node"], found["subnets"] = saved_node()
    except HostError as error:
        found["problem"] = str(error)
    return found


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


def _read(path: str) -> str:
    """Return a file's text; :raises ValueError: it is too large, or no text."""
    with open(path, encoding="utf-8") as stream:
        text = stream.read(LARGEST_FILE + 1)
    if len(text) > LARGEST_FILE:
        raise ValueError("too large")
    return text
