# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Read of a host what is wanted of it to be compared with, and no more than that."""

from __future__ import annotations

from .._common.errors import HostError
from .._common.files import read_file
from .._netlink.ethtool import offloads_on
from .._netlink.ingress import dropped_nics
from .._netlink.rtnetlink import Rtnl
from .._netlink.rules import rules
from .._nic.managers.resolved import resolver_of
from .current import Have, family, normal_prefix
from .plan import DEFAULT_METRIC
from .sysctl import read_sysctl


def read(want):
    """What this host has of what ``want`` talks about.

    Links are asked for one by one (a node has a link for every pod), addresses and routes in one dump each.

    :param want: a :class:`.state.HostState`.
    :returns: a :class:`.found.Have`.
    :raises HostError: when a library is missing, or the kernel doesn't answer.
    """
    links, addresses, routes, bound = _network(want)
    what = "kernel settings and files"
    try:
        sysctls = {wish: read_sysctl(wish.parts) for wish in want.sysctls}
        files = {wish.path: read_file(wish.path) for wish in want.files}
        what = "offloads"
        offloads = {
            link: offloads_on(link)
            for link in [wish.link for wish in want.offloads] + [given.nic for given in want.given if given.offloads]
        }
    except OSError as error:
        raise HostError("this host's %s can't be read: %s" % (what, error)) from error
    sources = [uplink.bridge if uplink.restore else uplink.nic for uplink in want.uplinks]
    resolvers = {link: found for link, found in ((link, resolver_of(link)) for link in sources) if found}
    drops = dropped_nics() if want.drops or want.absent_drops else frozenset()
    return Have(links, addresses, routes, sysctls, files, offloads, drops, bound, resolvers)


def _network(want):
    named = (
        {link.name for link in want.links}
        | {item.link for item in want.addresses + want.routes}
        | {one.nic for one in want.plains + want.given}
    )
    for uplink in want.uplinks:
        named |= {uplink.nic, uplink.bridge}
    if not named:
        return {}, (), (), ()
    keys = {route.key for given in want.given for route in given.routes}
    for wish in want.routes:
        destination = normal_prefix(wish.destination)
        keys.add((wish.table, destination, DEFAULT_METRIC[family(destination)] if wish.metric is None else wish.metric))
    try:
        with Rtnl() as rtnl:
            links = {name: rtnl.link(name) for name in sorted(named)}
            there = {name for name, link in links.items() if link}
            addresses = rtnl.addresses(there) if there else ()
            routes = rtnl.routes(lambda route: route.links & there or route.key in keys) if there or keys else ()
        bound = rules({name for uplink in want.uplinks for name in (uplink.nic, uplink.bridge)}) if want.uplinks else ()
    except OSError as error:
        raise HostError("this host's links, addresses and routes can't be read: %s" % error.strerror) from error
    return links, tuple(addresses), tuple(routes), tuple(bound)
