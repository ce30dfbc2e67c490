# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which settings of gateways can't work: alone, beside other gateways, and in the cluster."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._common import address_rules, addressing
from .problems import Problem, families, has_family_twice, judge, network_problems, raise_first

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from .gateway import Gateway, Place


def problems(gateway: Gateway) -> Iterator[Problem]:
    """Yield what can't work in the gateway's own settings."""
    subject = f"gateway {gateway.node}"
    found = [
        *network_problems("cluster_subnets", gateway.cluster_subnets),
        *_physical_ip_problems(gateway, subject),
    ]
    yield from found
    if found:
        return
    for hop in gateway.next_hops:
        yield from _next_hop_problems(gateway, hop, subject)
    yield from _pinned_problems(gateway, subject)
    if gateway.mtu is not None:
        yield from judge("mtu", subject, address_rules.mtu, gateway.mtu, families(gateway.cluster_subnets))


def check(gateway: Gateway) -> None:
    """Refuse what can't work; :raises SettingsError: the first of :func:`problems`."""
    raise_first(problems(gateway))


def _physical_ip_problems(gateway: Gateway, subject: str) -> Iterator[Problem]:
    """Yield what is wrong with the addresses on the physical network."""
    if not gateway.physical_ips:
        advice = f"give its address on the physical network, like {addressing.CIDR_EXAMPLE}"
        yield Problem("physical_ips", "is empty", advice, None, subject)
    found = [
        problem
        for cidr in gateway.physical_ips
        for problem in judge("physical_ips", subject, address_rules.host_interface, cidr)
    ]
    yield from found
    if found:
        return
    if has_family_twice(gateway.physical_ips):
        problem = "has two addresses of one family"
        yield Problem("physical_ips", problem, "give one of each at most", ", ".join(gateway.physical_ips), subject)
    for cidr in gateway.physical_ips:
        yield from network_overlap_problems(cidr, gateway.cluster_subnets, "the pods' network", subject)


def network_overlap_problems(cidr: str, networks: Iterable[str], name: str, subject: str) -> Iterator[Problem]:
    """Yield the networks of the overlay that an address's physical network overlaps.

    :param name: what the networks are, for the sentence.
    """
    for network in networks:
        if addressing.overlap(str(addressing.interface(cidr).network), network):
            problem = f"lies in a network that overlaps {name} {network}"
            yield Problem("physical_ips", problem, "the physical network must be another one", cidr, subject)


def _next_hop_problems(gateway: Gateway, hop: str, subject: str) -> Iterator[Problem]:
    """Yield what is wrong with a next hop."""
    found = list(judge("next_hops", subject, address_rules.next_hop, hop))
    yield from found
    if found:
        return
    ip = addressing.address(hop)
    own = next((face for face in map(addressing.interface, gateway.physical_ips) if face.version == ip.version), None)
    if own is None:
        problem = f"is IPv{ip.version}, and the gateway has no IPv{ip.version} address"
        yield Problem("next_hops", problem, "give it one, or remove the next hop", hop, subject)
    elif addressing.inside(addressing.single(hop), gateway.cluster_subnets):
        pods = ", ".join(gateway.cluster_subnets)
        yield Problem("next_hops", f"is in the pods' network {pods}", "give the external router's", hop, subject)
    elif ip == own.ip:
        yield Problem("next_hops", "is the gateway's own address", "give the external router's", hop, subject)
    # A router at a link-local address, or of a gateway with a single-address prefix, is on the link by definition.
    elif ip not in own.network and own.network.num_addresses > 1 and not (ip.version == 6 and ip.is_link_local):
        advice = f"give a router there, or the gateway's address as {own.ip}/{ip.max_prefixlen}"
        yield Problem("next_hops", f"is not in the physical network {own.network}", advice, hop, subject)


def _pinned_problems(gateway: Gateway, subject: str) -> Iterator[Problem]:
    """Yield what is wrong with subnets of pods that are pinned to the gateway."""
    for subnet in gateway.pinned or ():
        found = list(judge("pinned_subnets", subject, addressing.network, subnet))
        yield from found
        if found:
            continue
        if not addressing.inside(subnet, gateway.cluster_subnets):
            problem = f"is outside the pods' network {', '.join(gateway.cluster_subnets)}"
            yield Problem("pinned_subnets", problem, "name subnets of pods", subnet, subject)
        elif addressing.family(subnet) not in families(gateway.next_hops):
            yield Problem("pinned_subnets", "needs a next hop of its family", "give a default_gw", subnet, subject)


def missing_next_hops(gateway: Gateway) -> Iterator[str]:
    """Yield a sentence for each IP version in which the gateway has an address and no next hop: it works, and leads no
    further than its own network."""
    for cidr in gateway.physical_ips:
        version = addressing.family(cidr)
        if version not in families(gateway.next_hops):
            link = f", and the NIC behind {gateway.bridge} has no default route" if gateway.shared else ""
            yield (
                f"gateway {gateway.owner.name} has no IPv{version} next hop{link}: pods reach only the network of "
                f"{cidr} through it; give default_gw (in the inventory ovn_gateway_next_hop) if they are to reach more"
            )


def sharing_problems(gateways: Sequence[Gateway], others: Mapping[str, Sequence[str]]) -> Iterator[Problem]:
    """Yield addresses that two gateways have, and next hops that are another gateway.

    :param others: node name -> addresses of gateways that exist beside these.
    """
    taken = {cidr.split("/")[0]: name for name, cidrs in others.items() for cidr in cidrs}
    for gateway in gateways:
        for cidr in gateway.physical_ips:
            other = taken.setdefault(cidr.split("/")[0], gateway.owner.name)
            if other != gateway.owner.name:
                problem = f"is gateway {other}'s already"
                advice = "give each gateway an address of its own"
                yield Problem("physical_ips", problem, advice, cidr, f"gateway {gateway.node}")
    for gateway in gateways:
        for hop in gateway.next_hops:
            other = taken.get(hop, gateway.owner.name)
            if other != gateway.owner.name:
                problem = f"is gateway {other}'s address"
                yield Problem("next_hops", problem, "give the external router's", hop, f"gateway {gateway.node}")


def place_problems(gateway: Gateway, place: Place) -> Iterator[Problem]:
    """Yield what can't work with the cluster's join networks."""
    joins = ", ".join(place.joins)
    subject = f"gateway {gateway.node}"
    if families(gateway.cluster_subnets) - families(place.joins):
        problem = f"has a family that the join network {joins} does not have"
        advice = "converge the cluster first (ovn_master_init)"
        yield Problem("cluster_subnets", problem, advice, ", ".join(gateway.cluster_subnets), subject)
    for cidr in gateway.physical_ips:
        yield from network_overlap_problems(cidr, place.joins, "the join network", subject)


def check_place(gateway: Gateway, place: Place) -> None:
    """Refuse what can't work; :raises SettingsError: the first of :func:`place_problems`."""
    raise_first(place_problems(gateway, place))
