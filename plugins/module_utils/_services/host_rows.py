# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""All Northbound rows that the watcher keeps for one host: template variables, ACLs, routes and routing policies."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from .._ovsdb.rows import Row
from . import host_routes, template_variables, unserved
from .host import Host
from .model import ServiceState

# (table, role) of every row that a host may have by the watcher; whoever removes a host removes these.
ROLES = (template_variables.ROLE, *host_routes.ROLES, *unserved.ROLES)


def rows(
    host: Host,
    all_addresses: Iterable[str],
    states: Sequence[ServiceState],
    service_subnets: Sequence[str],
    has_cluster_router: bool,
) -> list[Row]:
    """Return the rows of one host.

    :param all_addresses: own addresses of all hosts.
    :param states: services that keep a part of their traffic on the host.
    :param service_subnets: the networks that the API server takes cluster addresses from.
    :param has_cluster_router: whether the router that routes belong to exists.
    """
    result = [template_variables.row(host, states, bool(service_subnets)), *unserved.rows(host, service_subnets)]
    if has_cluster_router:
        result += host_routes.rows(host, all_addresses, states)
    return result
