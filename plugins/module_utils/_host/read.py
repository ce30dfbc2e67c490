# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Read the current state of this host, as far as a desired state names it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._common.errors import HostError
from .._common.files import read_file
from .._netlink.addresses import read_addresses
from .._netlink.ethtool import offloads_on
from .._netlink.ingress import dropped_nics, kept_nics
from .._netlink.links import read_link, read_options
from .._netlink.neighbours import read_neighbours
from .._netlink.records import DEFAULT_METRIC, KernelRoute, RouteKey, ip_version, normal_prefix
from .._netlink.routes import read_routes
from .._netlink.rules import read_rules
from .._netlink.socket import RouteSocket
from .current import CurrentState
from .plan import plan_host
from .sysctl import read_sysctl

if TYPE_CHECKING:
    from .desired import HostState
    from .steps.base import Step


def read_and_plan(desired: HostState, most: int | None = None) -> list[Step]:
    """Return the steps from this host's current state to the desired one.

    :param most: addresses, and routes, that are read at most; None: all.
    :raises HostError: the current state can't be read, or the desired one can't be reached.
    """
    return plan_host(read_current(desired, most), desired)


def read_current(desired: HostState, most: int | None = None) -> CurrentState:
    """Read what this host has of what the desired state names.

    Links are read one by one, since a node has a link for every pod. Addresses and routes are read in one dump each.

    :param most: addresses, and routes, that are read at most; None: all.
    :raises HostError: a library is missing, or the kernel can't be read.
    """
    current = _read_network(desired, most)
    purpose = "kernel settings and files"
    try:
        sysctls = {sysctl: read_sysctl(sysctl.parts) for sysctl in desired.sysctls}
        files = {file.path: read_file(file.path) for file in desired.files}
        purpose = "offloads"
        nics = [link.link for link in desired.no_offloads] + [nic.nic for nic in desired.saved_nics if nic.offloads]
        offloads = {nic: offloads_on(nic) for nic in nics}
    except OSError as error:
        raise HostError(f"this host's {purpose} can't be read: {error}") from error
    return CurrentState(
        links=current.links,
        addresses=current.addresses,
        routes=current.routes,
        sysctls=sysctls,
        files=files,
        offloads=offloads,
        companions={companion: companion.read() for companion in desired.companions},
        drops=dropped_nics() if desired.drops or desired.absent_drops else frozenset(),
        kept_drops=(kept_nics() or frozenset()) if desired.absent_drops else frozenset(),
        rules=current.rules,
        neighbours=current.neighbours,
        options=current.options,
    )


def _read_network(desired: HostState, most: int | None) -> CurrentState:
    """Read the links, addresses, routes and rules."""
    names = _link_names(desired)
    if not names:
        return CurrentState()
    keys = _route_keys(desired)
    moved = {name for move in desired.moves for name in (move.source, move.target)}
    try:
        with RouteSocket(most=most) as kernel:
            links = {name: read_link(kernel, name) for name in sorted(names)}
            present = {name for name, link in links.items() if link}

            def is_named(route: KernelRoute) -> bool:
                return bool(route.links & present) or route.key in keys

            return CurrentState(
                links,
                addresses=tuple(read_addresses(kernel, present)) if present else (),
                routes=tuple(read_routes(kernel, is_named)) if present or keys else (),
                rules=tuple(read_rules(kernel, moved)) if moved else (),
                neighbours=tuple(read_neighbours(kernel, moved)) if moved else (),
                options={one.link: read_options(kernel, one.link) for one in desired.options},
            )
    except OSError as error:
        raise HostError(f"this host's links, addresses and routes can't be read: {error.strerror}") from error


def _link_names(desired: HostState) -> set[str]:
    names = {link.name for link in desired.links}
    names |= {address.link for address in desired.addresses} | {route.link for route in desired.routes}
    names |= {link.link for link in desired.unaddressed} | {nic.nic for nic in desired.saved_nics}
    names |= {one.link for one in desired.options}
    for move in desired.moves:
        names |= {move.source, move.target}
    return names


def _route_keys(desired: HostState) -> set[RouteKey]:
    keys = {route.key for nic in desired.saved_nics for route in nic.routes}
    for route in desired.routes:
        destination = normal_prefix(route.destination)
        metric = DEFAULT_METRIC[ip_version(destination)] if route.metric is None else route.metric
        keys.add(RouteKey(route.table, destination, metric))
    return keys
