# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""One table of nftables as a list of its objects, read and replaced as a whole.

An object is what libnftables-json(5) calls so, without its handle: ``{"set": {"family": ..., "table": ..., ...}}``. The
table itself comes first, then its sets, then its chains, then the rules in their order.
"""

from __future__ import annotations

import json
import socket
from typing import TYPE_CHECKING, Any

from .._common.errors import HostError
from .constants import NETLINK_NETFILTER
from .libraries import nftables

if TYPE_CHECKING:
    from collections.abc import Sequence

    Object = dict[str, dict[str, Any]]

ORDER = ("table", "set", "map", "chain", "rule")
NO_NFTABLES = "this kernel has no nftables: load the module nf_tables, or use a kernel that has it"


def read_table(family: str, name: str) -> list[Object]:
    """Return the objects of a table; none when there is no such table.

    :raises HostError: nftables can't be read.
    """
    tables = _objects({"list": {"tables": {"family": family}}})
    if not any(item.get("table", {}).get("name") == name for item in tables):
        return []
    found = _objects({"list": {"table": {"family": family, "name": name}}})
    return ordered([{kind: _plain(value) for kind, value in item.items()} for item in found if "metainfo" not in item])


def ordered(objects: Sequence[Object]) -> list[Object]:
    """Return the objects in their order; that of rules stays."""
    places = {kind: place for place, kind in enumerate(ORDER)}

    def place(item: Object) -> tuple[int, str]:
        kind, value = next(iter(item.items()))
        return places.get(kind, len(ORDER)), str(value.get("chain" if kind == "rule" else "name", ""))

    return sorted(objects, key=place)


def replacement(family: str, name: str, objects: Sequence[Object]) -> dict[str, Any]:
    """Return the commands that put these objects in the place of the table, in one transaction: whether there is one or
    not. Without objects the table is removed."""
    table = {"table": {"family": family, "name": name}}
    commands = [{"add": table}, {"delete": table}, *({"add": item} for item in objects)]
    return {"nftables": commands}


def run(commands: dict[str, Any]) -> None:
    """Carry out commands in one transaction.

    :raises HostError: nftables refuses, and nothing was changed.
    """
    _require_kernel()
    code, _answer, error = nftables().json_cmd(commands)
    if code != 0:
        raise HostError(f"nftables refuses the table: {_reason(error)}")


def _objects(command: dict[str, Any]) -> list[Object]:
    _require_kernel()
    code, answer, error = nftables().json_cmd({"nftables": [command]})
    if code != 0:
        raise HostError(f"the tables of nftables can't be read: {_reason(error)}")
    return list((answer or {}).get("nftables", ()))


def _require_kernel() -> None:
    """Look whether the kernel has nftables: without it the library would end the process."""
    try:
        socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, NETLINK_NETFILTER).close()
    except OSError:
        raise HostError(NO_NFTABLES) from None


def _plain(value: dict[str, Any]) -> dict[str, Any]:
    """Return an object without its number in the kernel, and with the elements of a set in one order."""
    plain = {key: part for key, part in value.items() if key != "handle"}
    if isinstance(plain.get("elem"), list):
        plain["elem"] = sorted(plain["elem"], key=json.dumps)
    return plain


def _reason(error: Any) -> str:
    return " ".join(str(error).split()) or "it gives no reason"
