# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Addresses with ports, and remotes of databases (ovsdb(7), "Active and passive OVSDB connection methods")."""

from __future__ import annotations

from .addressing import normalized


def with_port(address: str, port: int) -> str:
    """Return an address and a port as one text, with brackets around an IPv6 address (RFC 3986, 3.2.2)."""
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def addresses(remote: str) -> list[str]:
    """Return the addresses in a remote, which may be a list with commas; sockets and host names are left out."""
    found = []
    for part in remote.split(","):
        method, _colon, rest = part.strip().partition(":")
        host = rest.rpartition(":")[0].strip("[]") if method in ("tcp", "ssl") else ""
        address = normalized(host)
        if address is not None:
            found.append(address)
    return found
