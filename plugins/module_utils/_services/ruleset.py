# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The rules of a host as text for nft(8): one table in the family inet, which is replaced as a whole in one
transaction.

The way of a packet through the table:

- ``guard`` (before conntrack) drops loopback addresses that come in through the management link.
- ``invalid`` drops what conntrack does not find in its connection: it would not be translated, and the host would reset
  the connection (kubernetes/kubernetes#74839).
- ``prerouting`` leads what is for the host's own addresses to ``host_ports``, then to the chain of its node port; then
  what is for an address outside of a service, the host's own or not, to a chain for that address and port.
- ``output`` does the same for the host's own connections. Before that it looks for cluster addresses of services.
- ``postrouting`` gives the packet the host's own source address where the answer must come back to this host.
"""

from __future__ import annotations

import dataclasses
import enum
import hashlib
from collections.abc import Iterable, Iterator, Sequence

from .._common import addressing
from .._netlink.listening import Listener
from .addresses import of_version
from .host_rule_records import HostPortRule, HostRules, NodePortRule, ServiceAddressRule
from .model import Target

FAMILY, TABLE = "inet", "ovn_kubernetes"
REMOVE = f"add table {FAMILY} {TABLE}\ndelete table {FAMILY} {TABLE}\n"
IP = {4: "ip", 6: "ip6"}  # nft(8)'s names of the protocols
LOOPBACK = {4: "127.0.0.0/8", 6: "::1"}


class Priority(enum.IntEnum):
    """When a chain's hook runs: enum nf_ip_hook_priorities of linux/netfilter_ipv4.h (the same numbers for IPv6)."""

    RAW = -300
    MANGLE = -150  # after conntrack, before translation
    NAT_DST = -100
    NAT_SRC = 100


def render(rules: HostRules) -> str:
    """Return the script that puts these rules in the place of the table, whether there is one or not."""
    link = f'"{rules.link}"'
    chains: list[str] = []
    elements: list[str] = []
    for port in rules.node_ports:
        chain = f"{port.protocol}_{port.port}"
        elements.append(f"{port.protocol} . {port.port} : goto {chain}")
        chains += [f"chain {chain} {{", *_node_port(port), "}"]
    outside, bodies = _outside_chains(rules.outside_addresses)
    for chain, body in bodies.items():
        chains += [f"chain {chain} {{", *body, "}"]
    lines = [
        f"add table {FAMILY} {TABLE}",
        f"delete table {FAMILY} {TABLE}",
        f"table {FAMILY} {TABLE} {{",
        *_sets(rules),
        "chain host_ports {",
        *map(_kept_port, rules.kept_ports),
        *(_host_port(port) for port in rules.host_ports if not _is_at_loopback(port)),
        "}",
        "chain loopback_ports {",
        *map(_kept_port, rules.kept_ports),
        *(_host_port(port) for port in rules.host_ports if serves_loopback(port)),
        "}",
        *chains,
        f"map node_ports {{ type inet_proto . inet_service : verdict;{_elements(elements)} }}",
        *_outside_maps(outside),
        # The link may carry loopback addresses of the host's own connections (nftables.set_route_localnet), but none
        # may come in through it. This rule always stands: a program that ended may have left that setting on.
        f"chain guard {{ type filter hook prerouting priority {Priority.RAW:d}; policy accept;",
        f"iifname {link} ip daddr {LOOPBACK[4]} drop",
        "}",
        *_invalid(link, rules),
        f"chain prerouting {{ type nat hook prerouting priority {Priority.NAT_DST:d}; policy accept;",
        *_to_services(),
        "}",
        f"chain output {{ type nat hook output priority {Priority.NAT_DST:d}; policy accept;",
        *map(_service_address, rules.service_addresses),
        *_loopback_ports(),
        *_to_services(),
        "}",
        f"chain postrouting {{ type nat hook postrouting priority {Priority.NAT_SRC:d}; policy accept;",
        *_masquerade(link, rules.host_ports),
        "}",
        "}",
    ]
    return "\n".join(lines) + "\n"


def serves_loopback(port: HostPortRule) -> bool:
    """Return whether a host port is one of 127.0.0.0/8 too."""
    return port.version == 4 and (port.address is None or _is_at_loopback(port))


def _is_at_loopback(port: HostPortRule) -> bool:
    return (port.address or "").startswith("127.")


def _sets(rules: HostRules) -> Iterator[str]:
    """Yield the sets: the pods' networks (inside), the hosts' own addresses, and the sources of addresses outside."""
    for version in (4, 6):
        kind = f"type ipv{version}_addr;"
        inside, hosts = of_version(rules.pod_networks, version), of_version(rules.host_addresses, version)
        yield f"set inside{version} {{ {kind} flags interval;{_elements(inside)} }}"
        yield f"set hosts{version} {{ {kind}{_elements(hosts)} }}"
    sources = {_sources_set(rule): rule for rule in rules.outside_addresses if rule.sources is not None}
    for name, rule in sorted(sources.items()):
        kind = f"type ipv{rule.version}_addr; flags interval;"
        yield f"set {name} {{ {kind}{_elements(rule.sources or ())} }}"


def _sources_set(rule: ServiceAddressRule) -> str:
    """Return the name of the set of a rule's sources; rules with the same sources have one set."""
    return f"sources{rule.version}_{_digest(rule.sources or ())}"


def _digest(texts: Iterable[str]) -> str:
    return hashlib.sha256(" ".join(texts).encode()).hexdigest()[:20]


def _elements(elements: Sequence[str]) -> str:
    """Return the elements of a set or a map; an empty list is not allowed there."""
    return f" elements = {{ {', '.join(elements)} }};" if elements else ""


def _to_services() -> list[str]:
    """Return the rules for what is for one of the host's own addresses, or for an address outside of a service."""
    return [
        "fib daddr type local jump host_ports",
        "fib daddr type local meta l4proto . th dport vmap @node_ports",
        *(f"{ip} daddr . meta l4proto . th dport vmap @outside{version}" for version, ip in IP.items()),
    ]


def _outside_chains(
    rules: Iterable[ServiceAddressRule],
) -> tuple[list[tuple[ServiceAddressRule, str]], dict[str, list[str]]]:
    """Return each port of an address outside with its chain, and the chains: name -> rules.

    Addresses with the same rules have one chain: a service may have a thousand addresses, and a thousand endpoints.
    """
    chains: dict[ServiceAddressRule, str] = {}
    bodies: dict[str, list[str]] = {}
    found = []
    for rule in rules:
        anywhere = dataclasses.replace(rule, address="")
        if anywhere not in chains:
            body = list(_outside_address(rule))
            chains[anywhere] = f"{rule.protocol}_{rule.port}_{_digest(body)}"
            bodies[chains[anywhere]] = body
        found.append((rule, chains[anywhere]))
    return found, bodies


def _outside_maps(rules: Iterable[tuple[ServiceAddressRule, str]]) -> Iterator[str]:
    """Yield the maps that lead to the chains of addresses outside."""
    for version in IP:
        elements = [
            f"{rule.address} . {rule.protocol} . {rule.port} : goto {chain}"
            for rule, chain in rules
            if rule.version == version
        ]
        kind = f"type ipv{version}_addr . inet_proto . inet_service : verdict;"
        yield f"map outside{version} {{ {kind}{_elements(elements)} }}"


def _invalid(link: str, rules: HostRules) -> Iterator[str]:
    """Yield the chain that drops invalid packets of translated connections, and the sets of what is translated.

    Both directions count: answers come in through the management link, and clients' packets are for a port of a
    service. Other packets are left to the host.
    """
    kept = {(listener.protocol, listener.port) for listener in rules.kept_ports}
    ports = {(rule.protocol, rule.port) for rule in rules.node_ports}
    ports |= {(rule.protocol, rule.port) for rule in rules.host_ports}
    elements = [f"{protocol} . {port}" for protocol, port in sorted(ports - kept)]
    yield f"set own_ports {{ type inet_proto . inet_service;{_elements(elements)} }}"
    for version in IP:
        elements = [
            f"{rule.address} . {rule.protocol} . {rule.port}"
            for rule in rules.outside_addresses
            if rule.version == version
        ]
        kind = f"type ipv{version}_addr . inet_proto . inet_service;"
        yield f"set outside_ports{version} {{ {kind}{_elements(elements)} }}"
    yield f"chain invalid {{ type filter hook prerouting priority {Priority.MANGLE:d}; policy accept;"
    yield f"ct state invalid iifname {link} meta l4proto {{ tcp, sctp }} drop"
    yield "ct state invalid fib daddr type local meta l4proto . th dport @own_ports drop"
    for version, ip in IP.items():
        yield f"ct state invalid {ip} daddr . meta l4proto . th dport @outside_ports{version} drop"
    yield "}"


def _loopback_ports() -> list[str]:
    """Return the rules for the host's own connections to loopback addresses.

    They are for the host's own programs, but for host ports of pods: a connection from a loopback address can't be
    routed to OVN.
    """
    return [
        f"ip daddr {LOOPBACK[4]} jump loopback_ports",
        f"ip daddr {LOOPBACK[4]} return",
        f"ip6 daddr {LOOPBACK[6]} return",
    ]


def _kept_port(listener: Listener) -> str:
    """Return the rule that leaves a port to the host's own program."""
    match = f"{listener.protocol} dport {listener.port}"
    if listener.address is None:
        return f"{match} return"
    return f"{IP[addressing.family(listener.address)]} daddr {listener.address} {match} return"


def _host_port(port: HostPortRule) -> str:
    """Return the rule of one host port."""
    ip = IP[port.version]
    where = f"{ip} daddr {port.address}" if port.address else f"meta nfproto ipv{port.version}"
    return f"{where} {port.protocol} dport {port.port} dnat {ip} to {port.target}"


def _node_port(port: NodePortRule) -> Iterator[str]:
    """Yield the rules of one node port: to the cluster address, or to this host's endpoints when its traffic stays
    here.
    """
    for targets in port.targets:
        version = targets.version
        match = _match(version, port.protocol)
        if targets.local is None:
            yield f"{match} {_dnat(version, targets.cluster, port.affinity)}"
        elif targets.local:
            yield f"{match} {_dnat(version, targets.local, port.affinity)}"
        else:
            # The host itself may reach all endpoints. It goes by a host that has one, so that its address is kept too.
            # Pods of this host count as outside, as everybody else.
            own = targets.other_hosts or targets.cluster
            yield f"{match} fib saddr type local {_dnat(version, own, port.affinity)}"
            yield f"{match} drop"


def _outside_address(rule: ServiceAddressRule) -> Iterator[str]:
    """Yield the rules of one port of an address outside."""
    match = _match(rule.version, rule.protocol)
    if rule.sources is not None:
        yield f"{IP[rule.version]} saddr != @{_sources_set(rule)} drop"
    to_targets = _dnat(rule.version, rule.targets, rule.affinity)
    if rule.local is None:
        yield f"{match} {to_targets}"
        return
    yield f"{match} fib saddr type local {to_targets}"  # the host itself may reach all endpoints
    yield f"{match} {_dnat(rule.version, rule.local, rule.affinity)}" if rule.local else "drop"


def _match(version: int, protocol: str) -> str:
    """Return the match of a chain that is entered for this only: without it nft(8) takes no port to translate to."""
    return f"meta nfproto ipv{version} meta l4proto {protocol}"


def _service_address(rule: ServiceAddressRule) -> str:
    """Return the rule for the host's own connections to one address of a service."""
    dnat = _dnat(rule.version, rule.targets, rule.affinity)
    return f"{IP[rule.version]} daddr {rule.address} {rule.protocol} dport {rule.port} {dnat}"


def _dnat(version: int, targets: Sequence[Target], affinity: bool) -> str:
    """Return the statement that translates to one of the targets: a random one, or with affinity one that follows from
    the client's address.
    """
    ip = IP[version]
    if len(targets) == 1:
        return f"dnat {ip} to {targets[0]}"
    choice = f"jhash {ip} saddr" if affinity else "numgen random"
    elements = ", ".join(f"{number} : {target.address} . {target.port}" for number, target in enumerate(targets))
    return f"dnat {ip} to {choice} mod {len(targets)} map {{ {elements} }}"


def _masquerade(link: str, host_ports: Iterable[HostPortRule]) -> Iterator[str]:
    """Yield the rules for the source address: the answer must come back to the host that has translated the
    destination.
    """
    by_protocol: dict[str, set[int]] = {}
    for port in host_ports:
        by_protocol.setdefault(port.protocol, set()).add(port.port)
    for protocol, numbers in sorted(by_protocol.items()):
        ports = ", ".join(map(str, sorted(numbers)))
        yield f"oifname {link} ct status dnat meta l4proto {protocol} ct original proto-dst {{ {ports} }} masquerade"
    for version, ip in IP.items():
        yield f"oifname {link} ct status dnat {ip} daddr != @inside{version} masquerade"
        # Other hosts keep their address: the routing policies of host_routes lead the answers back to this host.
        yield f"oifname {link} ct status dnat {ip} saddr != @hosts{version} masquerade"
        yield f'oifname != {{ {link}, "lo" }} {ip} saddr @inside{version} masquerade'
        yield f'oifname != {{ {link}, "lo" }} ct status dnat {ip} daddr @hosts{version} masquerade'
