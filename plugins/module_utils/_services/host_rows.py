# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""All Northbound rows that the watcher keeps for one host: template variables, ACLs, routes and routing policies."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from .._ovsdb.rows import Row
from . import host_routes, link_local, range_rules, template_variables, unserved
from .addresses import of_version
from .host import Host
from .model import Service
from .service_state import ServiceState

# (table, role) of every row that a host may have by the watcher; whoever removes a host removes these.
ROLES = (template_variables.ROLE, *host_routes.ROLES, *link_local.ROLES, *unserved.ROLES)


class HostPart(NamedTuple):
    """What hosts' rows say of a service itself. While it stays the same, a change of the service is none for them.

    :ivar everywhere: each host has something of it; else only hosts with a gateway, or with endpoints.
    """

    everywhere: bool
    external_local: bool
    ip_versions: tuple[int, ...]
    ports: frozenset[tuple[str, str]]
    addresses: tuple[str, ...]


def part_of(service: Service) -> HostPart:
    """Return what hosts' rows say of a service that keeps a part of its traffic on them."""
    return HostPart(
        service.internal_local,
        service.external_local,
        tuple(service.ip_versions),
        frozenset((port.name, port.protocol) for port in service.ports),
        tuple(of_version(service.cluster_ips + service.external_ips, 6)),
    )


def rows(
    host: Host,
    states: Sequence[ServiceState],
    service_subnets: Sequence[str],
    has_cluster_router: bool,
    has_range_rules: bool = False,
) -> list[Row]:
    """Return the rows of one host.

    :param states: services that keep a part of their traffic on the host, or whose endpoints have hints.
    :param service_subnets: the networks that the API server takes cluster addresses from.
    :param has_cluster_router: whether the router that routes belong to exists.
    :param has_range_rules: whether the groups of :mod:`.range_rules` exist, and the host's ports for them.
    """
    result = [template_variables.row(host, states, bool(service_subnets)), *unserved.rows(host, service_subnets)]
    if has_cluster_router:
        result += [*host_routes.rows(host, states), *link_local.rows(host)]
    if has_range_rules:
        result += range_rules.host_rows(host)
    return result
