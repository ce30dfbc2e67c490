# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Rules of the host's packet filter that name a link, as nftables has them: also those that iptables has made there."""

from __future__ import annotations

import fnmatch
import re
import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .._common.errors import HostError
from .constants import NETLINK_NETFILTER
from .ingress import TABLE
from .libraries import nftables

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

QUOTED = re.compile(r'"([^"]+)"')
# Keys of the expression "meta" whose values are links (libnftables-json(5)).
LINK_KEYS = frozenset({"iif", "oif", "iifname", "oifname", "ibrname", "obrname", "sdif", "sdifname"})
LINK_TYPES = frozenset({"ifname", "iface_index"})


@dataclass(frozen=True)
class FilterTable:
    """A table of a packet filter, and the links that its rules name.

    :ivar name: for a sentence, such as ``nftables table inet filter``.
    :ivar links: names as the rules have them, also patterns such as ``eth*``.
    :ivar ingress: the links at whose ingress it filters packets.
    """

    name: str
    links: frozenset[str]
    ingress: frozenset[str] = frozenset()

    def names(self, link: str) -> bool:
        """Return whether a rule is about the link."""
        return any(fnmatch.fnmatchcase(link, pattern) for pattern in self.links)


def tables_of_ruleset(ruleset: dict[str, Any], chains: str = "") -> list[FilterTable]:
    """Return the tables of a ruleset in libnftables' JSON format.

    :param chains: the list of chains as nft(8) writes it: not every version shows the link of a chain in JSON.
    """
    ingress = _ingress_links(chains)
    links: dict[str, set[str]] = {}
    for item in ruleset.get("nftables", ()):
        for kind, entry in item.items():
            if kind not in ("chain", "rule", "set", "map", "flowtable") or entry.get("table") == TABLE:
                continue
            name = f"{entry['family']} {entry['table']}"
            links.setdefault(name, set()).update(_links_of(kind, entry))
    return [
        FilterTable(f"nftables table {name}", frozenset(found), frozenset(ingress.get(name, ())))
        for name, found in links.items()
        if found or name in ingress
    ]


def read_filter_tables() -> list[FilterTable]:
    """Return the tables with rules that name links, without this collection's own.

    :raises HostError: they can't be read.
    """
    try:
        socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, NETLINK_NETFILTER).close()
    except OSError:
        return []  # this kernel has no nftables, and so no rules; the library would end the process
    binding = nftables()
    code, answer, error = binding.json_cmd({"nftables": [{"list": {"ruleset": None}}]})
    if code != 0:
        raise HostError(f"the rules of nftables can't be read: {' '.join(str(error).split())}")
    binding.set_json_output(False)
    code, chains, error = binding.cmd("list chains")
    if code != 0:
        raise HostError(f"the chains of nftables can't be read: {' '.join(str(error).split())}")
    return tables_of_ruleset(answer or {}, chains)


def _ingress_links(chains: str) -> dict[str, set[str]]:
    """Return the links at whose ingress chains filter packets: family and table to links."""
    found: dict[str, set[str]] = {}
    name = ""
    for line in chains.splitlines():
        words = line.split()
        if words[:1] == ["table"]:
            name = " ".join(words[1:3])
        elif "hook" in words and "ingress" in words:
            found.setdefault(name, set()).update(QUOTED.findall(line))
    return {table: links for table, links in found.items() if table.split()[-1] != TABLE}


def _links_of(kind: str, entry: dict[str, Any]) -> set[str]:
    """Return the names of links in a rule, a set, a map or a flow table."""
    if kind == "rule":
        expressions = [one for one in entry.get("expr", ()) if _has_link_key(one)]
        return {text for one in expressions for text in _strings(one)} - LINK_KEYS
    if kind == "flowtable":
        return set(_strings(entry.get("dev")))
    if kind in ("set", "map") and LINK_TYPES & set(_strings(entry.get("type"))):
        return set(_strings(entry.get("elem")))
    return set()


def _has_link_key(value: Any) -> bool:
    if isinstance(value, dict):
        meta = value.get("meta")
        return (isinstance(meta, dict) and meta.get("key") in LINK_KEYS) or any(map(_has_link_key, value.values()))
    return isinstance(value, list) and any(map(_has_link_key, value))


def _strings(value: Any) -> Iterator[str]:
    """Yield all texts in a JSON value, keys left out."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for inner in value.values():
            yield from _strings(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _strings(inner)
