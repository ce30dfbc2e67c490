# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""systemd-resolved's name servers of a link, as programs and people have set them at run time
(org.freedesktop.resolve1(5)).

For a link that systemd-networkd manages there is nothing here: what its files say moves with the files, and what it was
told at run time it keeps itself.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..._common.dbus import call, read_property
from ..._netlink.links import link_index

if TYPE_CHECKING:
    from typing import Any

RESOLVE = "org.freedesktop.resolve1"
MANAGER = (RESOLVE, "/org/freedesktop/resolve1", RESOLVE + ".Manager")
# Property of a link -> its D-Bus type.
MODES = {"LLMNR": "s", "MulticastDNS": "s", "DNSOverTLS": "s", "DNSSEC": "s", "DNSSECNegativeTrustAnchors": "as"}
STATE_DIRECTORY = "/run/systemd/resolve/netif"  # a file for each link for which something is set at run time


@dataclass(frozen=True)
class LinkResolver:
    """Name servers of a link, as systemd-resolved has them.

    :ivar servers: ((family, address as bytes, port, name), ...). Port 0 and an empty name are the defaults.
    :ivar domains: ((domain, whether it is for routing queries only), ...).
    :ivar default: whether queries go there that match no link's domains.
    :ivar modes: ((property, value), ...) of the other settings, see :data:`MODES`.
    """

    servers: tuple[tuple[int, bytes, int, str], ...]
    domains: tuple[tuple[str, bool], ...] = ()
    default: bool = False
    modes: tuple[tuple[str, str | tuple[str, ...]], ...] = ()


def read_resolver(link: str) -> LinkResolver | None:
    """Return what is set for a link at run time; None: nothing, or there is no such link.

    :raises HostError: systemd-resolved does not answer.
    """
    try:
        index = link_index(link)
    except OSError:
        return None
    if not _is_set(index):
        return None
    servers = tuple((family, bytes(ip), port, name) for family, ip, port, name in _read(index, "DNSEx"))
    domains = tuple((domain, routing_only) for domain, routing_only in _read(index, "Domains"))
    modes = tuple((name, _read_mode(index, name)) for name in MODES)
    return LinkResolver(servers, domains, _read(index, "DefaultRoute"), modes)


def set_resolver(link: str, resolver: LinkResolver) -> None:
    """Set the name servers of a link.

    :raises OSError: there is no such link.
    :raises HostError: systemd-resolved does not answer.
    """
    index = link_index(link)
    call(*MANAGER, "SetLinkDNSEx", "ia(iayqs)", (index, list(resolver.servers)))
    call(*MANAGER, "SetLinkDomains", "ia(sb)", (index, list(resolver.domains)))
    call(*MANAGER, "SetLinkDefaultRoute", "ib", (index, resolver.default))
    for name, value in resolver.modes:
        # A mode that follows the host's own setting is not set, so that it goes on doing so.
        if value != _read_mode(index, name):
            signature = f"i{MODES[name]}"
            call(*MANAGER, f"SetLink{name}", signature, (index, value if isinstance(value, str) else list(value)))


def revert_resolver(link: str) -> None:
    """Remove all that was set for a link at run time.

    :raises HostError: systemd-resolved does not answer.
    """
    try:
        index = link_index(link)
    except OSError:
        return
    if _is_set(index):
        call(*MANAGER, "RevertLink", "i", (index,))


def _is_set(index: int) -> bool:
    return os.path.exists(f"{STATE_DIRECTORY}/{index}")


def _read(index: int, name: str) -> Any:
    """Return a property of a link."""
    path = call(*MANAGER, "GetLink", "i", (index,))[0]
    return read_property(RESOLVE, path, f"{RESOLVE}.Link", name)


def _read_mode(index: int, name: str) -> str | tuple[str, ...]:
    value = _read(index, name)
    return str(value) if MODES[name] == "s" else tuple(sorted(value))
