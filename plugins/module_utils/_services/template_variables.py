# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The template variables of a chassis: what load balancers of all hosts have on this host (ovn-nb(5),
Chassis_Template_Var).
"""

from __future__ import annotations

from collections.abc import Sequence

from .._common import addressing, names
from .._ovsdb.rows import ExactMap, Row
from .addresses import of_version
from .host import Host
from .model import ADDRESSES_OF_A_HOST, Target
from .nodes import Place
from .service_state import ServiceState

ROLE = ("Chassis_Template_Var", "variables")
# ovn-controller complains about a variable without a value. No packet has these destinations.
UNSPECIFIED = {4: "0.0.0.0", 6: "::"}
DISCARD = 9  # RFC 863: the port of a service that answers nothing


def row(host: Host, states: Sequence[ServiceState], drops_unserved: bool = False) -> Row:
    """Return the row with the variables of one chassis.

    :param states: services that keep a part of their traffic on the host, or whose endpoints have hints.
    :param drops_unserved: whether the host's switch drops packets to cluster addresses that no load balancer takes
        (:mod:`.unserved`).
    """
    variables = ExactMap()
    for version in (4, 6):
        own = of_version(host.addresses, version)[:1]
        own += [address for address in of_version(host.gateway_addresses, version)[:1] if address not in own]
        own += [UNSPECIFIED[version]] * (ADDRESSES_OF_A_HOST - len(own))
        for index, address in enumerate(own):
            variables[names.node_address_variable(version, index)] = address
    for state in states:
        # Only load balancers of gateways' routers have variables of a service that is Local to the outside alone.
        service, hinted = state.service, _hinted(host, state)
        is_local = service.internal_local or (service.external_local and host.has_gateway)
        variables.update(hinted)
        if is_local:
            variables.update(_local(host, state, drops_unserved))
        if is_local or hinted:
            addresses = of_version(service.cluster_ips + service.external_ips, 6)
            variables.update((names.address_variable(address), address) for address in addresses)
    return Row(ROLE[0], host.owner, ROLE[1], columns={"chassis": host.chassis, "variables": variables})


def _hinted(host: Host, state: ServiceState) -> dict[str, str]:
    """Return the endpoints of a service that hints choose for this host."""
    service, place = state.service, Place(host.name, host.zone)
    return {
        names.hinted_backends_variable(*service.port_key(port), version): ",".join(
            map(str, state.targets_for(place, port, version))
        )
        for version in service.ip_versions
        for port in service.ports
        if state.hinted(port, version) is not None
    }


def _local(host: Host, state: ServiceState, drops_unserved: bool) -> dict[str, str]:
    """Return the endpoints of a service on this host."""
    service, variables = state.service, {}
    for version in service.ip_versions:
        for port in service.ports:
            targets = state.targets(port, version, host.name)
            if not targets:
                if drops_unserved and port.protocol == "UDP" and not service.external_local:
                    # A client that goes on to send from one port would stay with the refusal, also when an endpoint has
                    # come. So the switch drops its packets, as kube-proxy does.
                    continue
                # With an empty variable the load balancer would let packets pass, and conntrack would remember their
                # connection as one that is not balanced. The router of the host's subnet refuses instead.
                targets = [
                    Target(addressing.nth(subnet, addressing.ROUTER, prefix=False), DISCARD)
                    for subnet in of_version(host.subnets, version)
                ]
            variables[names.local_backends_variable(*service.port_key(port), version)] = ",".join(map(str, targets))
    return variables
