# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Read what kube-proxy does on this host: the node server does the same."""

from __future__ import annotations

import contextlib
import glob
import socket
from collections.abc import Iterator

from .._common.errors import HostError
from .._netlink.libraries import nftables

PROGRAM = "kube-proxy"
CHAIN = "KUBE-SERVICES"  # of its mode iptables, in the tables of iptables-nft(8)
LINK = "kube-ipvs0"  # of its mode ipvs
TABLE = "kube-proxy"  # of its mode nftables


def signs() -> tuple[str, ...]:
    """Return what of it is here, in words: its process first, else what it has left."""
    return (*_processes(), *_rules())


def _processes() -> Iterator[str]:
    """Yield its processes, those in containers too."""
    for path in glob.iglob("/proc/[0-9]*/comm"):
        with contextlib.suppress(OSError), open(path, encoding="utf-8", errors="replace") as file:  # it may end
            if file.read().strip() == PROGRAM:
                yield f"process {path.split('/')[2]}"


def _rules() -> Iterator[str]:
    """Yield its rules. Those of iptables-legacy(8) can't be read without that program."""
    with contextlib.suppress(OSError):  # there is no such link
        socket.if_nametoindex(LINK)
        yield f"link {LINK}"
    try:
        code, answer, _error = nftables().json_cmd({"nftables": [{"list": {"chains": {}}}]})
    except HostError:  # without the library: the comparison of packages says so
        return
    chains = [item["chain"] for item in (answer or {}).get("nftables", ()) if "chain" in item] if code == 0 else []
    for family, table in sorted({(one["family"], one["table"]) for one in chains if one["table"] == TABLE}):
        yield f"table {family} {table} of nftables"
    for family, table in sorted({(one["family"], one["table"]) for one in chains if one["name"] == CHAIN}):
        yield f"chain {CHAIN} in table {family} {table} of nftables"
