# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""systemd-resolved's name servers of a link, as programs and people have set them at run time (org.freedesktop.resolve1(5)).

Of a link that systemd-networkd manages there is nothing here: what its files say goes with the files, and what it was told at run time it keeps itself.
"""

from __future__ import annotations

import os

from ..._common.dbus import call, read_property
from ..._netlink.links import link_index
from .model import LinkResolver

RESOLVE = "org.freedesktop.resolve1"
MANAGER = (RESOLVE, "/org/freedesktop/resolve1", RESOLVE + ".Manager")
MODES = {"LLMNR": "s", "MulticastDNS": "s", "DNSOverTLS": "s", "DNSSEC": "s", "DNSSECNegativeTrustAnchors": "as"}
KEPT = "/run/systemd/resolve/netif/%d"  # there as long as something is set at run time


def resolver_of(link):
    """What a link has, None where there is nothing."""
    try:
        index = link_index(link)
    except OSError:
        return None
    if not os.path.exists(KEPT % index):
        return None
    read = _reader(index)
    servers = tuple((family, bytes(address), port, name) for family, address, port, name in read("DNSEx"))
    return LinkResolver(
        servers,
        tuple(map(tuple, read("Domains"))),
        read("DefaultRoute"),
        tuple((name, _mode(read, name)) for name in MODES),
    )


def _reader(index):
    path = call(*MANAGER, "GetLink", "i", (index,))[0]
    return lambda name: read_property(RESOLVE, path, RESOLVE + ".Link", name)


def _mode(read, name):
    value = read(name)
    return value if MODES[name] == "s" else tuple(sorted(value))


def set_resolver(link, resolver):
    """Give a link what ``resolver`` says, or take from it all that was set at run time (None). :raises HostError: when it can't be."""
    try:
        index = link_index(link)
    except OSError:
        if resolver is None:
            return
        raise
    if resolver is None:
        if os.path.exists(KEPT % index):
            call(*MANAGER, "RevertLink", "i", (index,))
        return
    call(*MANAGER, "SetLinkDNSEx", "ia(iayqs)", (index, list(resolver.servers)))
    call(*MANAGER, "SetLinkDomains", "ia(sb)", (index, list(resolver.domains)))
    call(*MANAGER, "SetLinkDefaultRoute", "ib", (index, resolver.default))
    read = _reader(index)
    for name, value in resolver.modes:
        if value != _mode(read, name):  # what is as the host has it stays so when the host's changes
            call(*MANAGER, "SetLink" + name, "i" + MODES[name], (index, value if MODES[name] == "s" else list(value)))
