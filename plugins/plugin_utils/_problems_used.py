# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Where networks of the overlay overlap what hosts have and use: they would lose it. Private to the collection."""

from __future__ import annotations

import contextlib
import typing as t
import urllib.parse
from collections.abc import Iterable, Iterator, Sequence

from ..module_utils._common.addressing import networks_overlap
from ..module_utils._common.names import management_port
from ._derived import OverlayNetwork, tunnel_ip
from ._errors import show
from ._facts import Facts
from ._inventory import Inventory
from ._report import Report
from ._templates import Undefined
from ._values import parse_address

if t.TYPE_CHECKING:
    from ..module_utils._common.addressing import IPAddress

API, SERVICE = "ovn_kubernetes_api", "ovn_service_subnet"
CONNECTION, HOSTS = "ansible_connection", ("ansible_host", "ansible_ssh_host")
OWN_LINKS = management_port("")  # how the names of the overlay's own links begin


def add_used_problems(inventory: Inventory, report: Report, networks: Sequence[OverlayNetwork]) -> None:
    """Add what of the networks is in use: by the inventory, and by the hosts whose facts are known."""
    _add_api_server(inventory, report, networks)
    for host in inventory.hosts:
        _add_own_address(inventory, host, report, networks)
        facts = inventory.facts(host)
        physical = tunnel_ip(inventory, host)
        underlay = facts.link_of(physical) if physical is not None else None
        # Of the underlay's network a sentence of its own is said.
        rest = [
            one
            for one in networks
            if underlay is None or underlay.network is None or not networks_overlap(one.network, underlay.network)
        ]
        in_use = facts.own.in_use
        found = _of_facts(facts, rest) if in_use is None else ((use.network, use.use) for use in in_use)
        _add_uses(report, host, rest, found)


def _add_uses(report: Report, host: str, networks: Iterable[OverlayNetwork], found: Iterable[tuple[str, str]]) -> None:
    """Add the first use of each network."""
    uses: dict[str, str] = {}
    for network, use in found:
        uses.setdefault(network, use)
    for one in networks:
        text = uses.get(str(one.network))
        if text:
            report.add(host, f"{one.words} overlaps {text}: choose another network for {one.variable}")


def _of_facts(facts: Facts, networks: Sequence[OverlayNetwork]) -> Iterator[tuple[str, str]]:
    """Yield what of the networks a host uses as Ansible's facts have it, where the host was not asked: network, use."""
    for variable, network, _words in networks:
        for link, face in facts.all_addresses():
            # Programs of Kubernetes serve single addresses of services on links of their own.
            is_served = variable == SERVICE and face.network.num_addresses == 1
            if networks_overlap(face.network, network) and not link.startswith(OWN_LINKS) and not is_served:
                yield str(network), f"{face}, which {link} has"
        is_installed = any(link.startswith(OWN_LINKS) for link in facts.links)
        for ip in facts.name_servers:
            if ip in network and not is_installed:
                yield str(network), f"{ip}, a name server of this host"


def _add_api_server(inventory: Inventory, report: Report, networks: Iterable[OverlayNetwork]) -> None:
    url = inventory.valid_cluster_value(API)
    addresses = list(map(parse_address, api_hosts(url or "")))
    for variable, network, words in networks:
        if any(address is not None and address in network for address in addresses):
            report.add(
                inventory.hosts_with(API),
                f"{API} {show(url)} is in {words}: the API server is not in the overlay, choose another network for "
                f"{variable}",
            )


def api_hosts(urls: str) -> list[str]:
    """Return the hosts in the API servers' URLs, which have commas between them."""
    found = []
    for url in urls.split(","):
        with contextlib.suppress(ValueError):
            found.append(urllib.parse.urlsplit(url).hostname or "")
    return list(filter(None, found))


def _add_own_address(inventory: Inventory, host: str, report: Report, networks: Iterable[OverlayNetwork]) -> None:
    """Add the address at which the controller finds the host."""
    if inventory.raw(host, CONNECTION) == "local":
        return
    for name, address in _own_addresses(inventory, host):
        for variable, network, words in networks:
            if address in network:
                report.add(
                    host,
                    f"{name} {show(address)} is in {words}: hosts are not in the overlay, choose another network for "
                    f"{variable}",
                )
        return


def _own_addresses(inventory: Inventory, host: str) -> Iterator[tuple[str, IPAddress]]:
    """Yield the addresses at which the controller finds the host, the one that counts first: variable, address."""
    for name in HOSTS:
        value = inventory.raw(host, name)
        if value is not None:
            address = None if isinstance(value, Undefined) else parse_address(value)
            if address is not None:
                yield name, address
            return
    address = parse_address(host)
    if address is not None:
        yield "the inventory's name", address
