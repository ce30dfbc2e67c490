# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What runs on this host: the versions of the collection's programs, of Open vSwitch and of OVN.

Daemons are asked, since a package that was upgraded may not run yet.
"""

from __future__ import annotations

import asyncio
import re
import zipfile
from typing import TYPE_CHECKING

from .._common import names
from .._common.errors import DatabaseError
from .._ovsdb.control_socket import ask

if TYPE_CHECKING:
    from collections.abc import Mapping

TIMEOUT = 2.0  # seconds for one answer
MODULE = "ovn_kubernetes/_common/version.py"  # in the archive
COLLECTION, OPEN_VSWITCH, OVN, CENTRAL = "collection", "openvswitch", "ovn", "central"
DAEMONS = {  # what it tells the version of -> the folder of its control socket, and its name
    OPEN_VSWITCH: (names.OPENVSWITCH_RUN_DIRECTORY, "ovs-vswitchd"),
    OVN: (names.OVN_RUN_DIRECTORY, "ovn-controller"),
    CENTRAL: (names.OVN_RUN_DIRECTORY, "ovn-northd"),
}
LONGEST = 40  # characters


def read_versions(archive: str = names.ARCHIVE, daemons: Mapping[str, tuple[str, str]] | None = None) -> dict[str, str]:
    """Return what there is of :data:`COLLECTION` and of the daemons -> its version."""
    found = {COLLECTION: of_archive(archive), **asyncio.run(_of_daemons(DAEMONS if daemons is None else daemons))}
    return {what: version for what, version in found.items() if version}


def of_archive(path: str) -> str:
    """Return the version of an archive of the programs; empty where there is none that says it."""
    try:
        with zipfile.ZipFile(path) as archive:
            text = archive.read(MODULE).decode()
    except (OSError, KeyError, ValueError, zipfile.BadZipFile):
        return ""
    return _first(r'^VERSION = "([^"]+)"', text)


async def _of_daemons(daemons: Mapping[str, tuple[str, str]]) -> dict[str, str]:
    answers = await asyncio.gather(*(_of_daemon(*place) for place in daemons.values()))
    return dict(zip(daemons, answers))


async def _of_daemon(directory: str, name: str) -> str:
    try:
        answer = await ask(directory, name, "version", TIMEOUT)
    except (DatabaseError, OSError, ValueError):
        return ""  # it does not run, which its unit's row says
    return _first(r"(\d+\.\d[\w.+~-]*)", answer)


def _first(pattern: str, text: str) -> str:
    """Return the first match, which is not trusted to be short."""
    found = re.search(pattern, text, re.MULTILINE)
    return found[1][:LONGEST] if found else ""
