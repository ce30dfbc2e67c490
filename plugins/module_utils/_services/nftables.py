# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the host's own stack does for services: one nftables table of ours in the family inet (nft(8)), replaced whole in one transaction."""

from __future__ import annotations

import re

from .._common.errors import HostError
from .._host.apply import apply_steps
from .._host.desired import HostState, Sysctl
from .._host.plan import plan_host
from .._host.read import read_current
from .._netlink.libraries import nftables

FAMILY, TABLE = "inet", "ovn_kubernetes"
IP = {4: "ip", 6: "ip6"}
# Where nft(8) writes what becomes of a UDP port: a chain of a node port, or one rule.
OF_UDP = (
    re.compile(r"^\tchain udp_(\d+) \{$.*?^\t\}$", re.M | re.S),
    re.compile(r"^.* udp dport (\d+) dnat .*$", re.M),
)


def script(rules):
    """The table for these :class:`.state.ServiceRules`, as nft(8) reads it."""
    link = '"%s"' % rules.link
    lines = [
        "add table %s %s" % (FAMILY, TABLE),
        "delete table %s %s" % (FAMILY, TABLE),
        "table %s %s {" % (FAMILY, TABLE),
    ]
    for version in (4, 6):
        for name, kind, content in (("inside", " flags interval;", rules.inside), ("hosts", "", rules.hosts)):
            lines.append(
                "set %s%d { type ipv%d_addr;%s%s }"
                % (
                    name,
                    version,
                    version,
                    kind,
                    _elements([one for one in content if (6 if ":" in one else 4) == version]),
                )
            )
    chains, elements = [], []
    for port in rules.node_ports:
        chain = "%s_%d" % (port.protocol, port.port)
        elements.append("%s . %d : goto %s" % (port.protocol, port.port, chain))
        chains += ["chain %s {" % chain, *_node_port(port), "}"]
    lines += ["chain host_ports {", *(_host_port(port) for port in rules.host_ports if not _at_loopback(port)), "}"]
    lines += ["chain loopback_ports {", *(_host_port(port) for port in rules.host_ports if _loopback(port)), "}"]
    lines += [*chains, "map node_ports { type inet_proto . inet_service : verdict;%s }" % _elements(elements)]
    # The link may carry loopback addresses, see write(): but none that came through it. Always, since who has set that may not have set it back.
    lines += [
        "chain guard { type filter hook prerouting priority -300; policy accept;",
        "iifname %s ip daddr 127.0.0.0/8 drop" % link,
        "}",
    ]
    lines += [
        "chain prerouting { type nat hook prerouting priority -100; policy accept;",
        *_to_node_ports(),
        "}",
        "chain output { type nat hook output priority -100; policy accept;",
        *_own(rules.own),
        *_loopback_ports(),
        *_to_node_ports(),
        "}",
        "chain postrouting { type nat hook postrouting priority 100; policy accept;",
        *_leave(link, rules.host_ports),
        "}",
        "}",
    ]
    return "\n".join(lines) + "\n"


def _elements(content):
    return " elements = { %s };" % ", ".join(content) if content else ""


def _to_node_ports():
    return ["fib daddr type local jump host_ports", "fib daddr type local meta l4proto . th dport vmap @node_ports"]


def _loopback_ports():
    """What the host asks itself is its own programs', but for pods' ports: a connection from a loopback address to OVN would find no way."""
    return ["ip daddr 127.0.0.0/8 jump loopback_ports", "ip daddr 127.0.0.0/8 return", "ip6 daddr ::1 return"]


def _host_port(port):
    where = "%s daddr %s" % (IP[port.version], port.address) if port.address else "meta nfproto ipv%d" % port.version
    return "%s %s dport %d dnat %s to %s" % (where, port.protocol, port.port, IP[port.version], _pair(*port.target))


def _loopback(port):
    """Whether a port is one of 127.0.0.0/8 too."""
    return port.version == 4 and (port.address is None or _at_loopback(port))


def _at_loopback(port):
    return (port.address or "").startswith("127.")


def _node_port(port):
    """One node port's rules: to the cluster address, whose load balancer is OVN's; or, when it stays on the host, to its endpoints."""
    for version, targets in port.cluster:
        only = "meta nfproto ipv%d meta l4proto %s " % (version, port.protocol)
        to = only + _one_of(version, targets, port.affinity)
        if port.local is None:
            yield to
            continue
        # The host itself reaches all endpoints, with its address kept too: by way of a host that has one. Others' pods are outside, as everybody.
        here, elsewhere = dict(port.local).get(version), dict(port.elsewhere).get(version)
        if here:
            yield only + _one_of(version, here, port.affinity)
            continue
        yield "%sfib saddr type local %s" % (only, _one_of(version, elsewhere or targets, port.affinity))
        yield only + "drop"


def _own(own):
    """With an endpoint of this host itself, what goes out through OVN and comes back with the host's own address is nobody's."""
    for service in own:
        yield "%s daddr %s %s dport %d %s" % (
            IP[service.version],
            service.address,
            service.protocol,
            service.port,
            _one_of(service.version, service.endpoints, service.affinity),
        )


def _one_of(version, endpoints, affinity):
    if len(endpoints) == 1:
        return "dnat %s to %s" % (IP[version], _pair(*endpoints[0]))
    choice = (
        "jhash %s saddr mod %d" % (IP[version], len(endpoints)) if affinity else "numgen random mod %d" % len(endpoints)
    )
    return "dnat %s to %s map { %s }" % (
        IP[version],
        choice,
        ", ".join("%d : %s . %d" % (number, *endpoint) for number, endpoint in enumerate(endpoints)),
    )


def _leave(link, host_ports):
    """Answers must come back to this host, which has translated the question."""
    for protocol in sorted({port.protocol for port in host_ports}):
        yield "oifname %s ct status dnat meta l4proto %s ct original proto-dst { %s } masquerade" % (
            link,
            protocol,
            ", ".join(
                str(number) for number in sorted({port.port for port in host_ports if port.protocol == protocol})
            ),
        )
    for version in (4, 6):
        yield "oifname %s ct status dnat %s daddr != @inside%d masquerade" % (link, IP[version], version)
        # Only other hosts' connections come back with the client's address kept: desired/hosts.py leads the answers to us.
        yield "oifname %s ct status dnat %s saddr != @hosts%d masquerade" % (link, IP[version], version)
        yield 'oifname != { %s, "lo" } %s saddr @inside%d masquerade' % (link, IP[version], version)
        yield 'oifname != { %s, "lo" } ct status dnat %s daddr @hosts%d masquerade' % (link, IP[version], version)


def _pair(address, port):
    return "[%s]:%d" % (address, port) if ":" in address else "%s:%d" % (address, port)


def write(rules):
    """Make the table hold these rules; None: there is no table. :raises HostError: when nftables refuses."""
    loopback = bool(rules) and any(_loopback(port) for port in rules.host_ports)
    text = script(rules) if rules else "add table %s %s\ndelete table %s %s\n" % (FAMILY, TABLE, FAMILY, TABLE)
    code, _answer, error = nftables().cmd(text)
    if code != 0:
        raise HostError(
            "nftables can't take the rules of services: %s" % (" ".join(str(error).split()) or "it gives no reason")
        )
    if rules:
        carry_loopback(rules.link, loopback)


def carry_loopback(link, may):
    """Whether the link may carry loopback addresses, which the host's own connections to pods' ports at 127.0.0.1 have; a link that is gone has nothing."""
    wish = Sysctl("net/ipv4/conf/%s/route_localnet" % link, "1" if may else "0")
    wanted = HostState(sysctls=(wish,))
    current = read_current(wanted)
    if current.sysctls[wish] is not None:
        apply_steps(plan_host(current, wanted))


def whole():
    """Whether the table is there with rules in it; also False when nftables does not answer: who writes then hears why."""
    code, answer, _error = nftables().json_cmd(
        {"nftables": [{"list": {"chain": {"family": FAMILY, "table": TABLE, "name": "prerouting"}}}]}
    )
    return code == 0 and any("rule" in item for item in (answer or {}).get("nftables", ()))


def udp():
    """UDP port -> what the table that is there now does with it, in nft(8)'s words; nothing when there is none."""
    binding, found = nftables(), {}
    binding.set_json_output(False)
    _code, text, _error = binding.cmd("list table %s %s" % (FAMILY, TABLE))
    for match in (match for form in OF_UDP for match in form.finditer(text)):
        found.setdefault(int(match[1]), set()).add(match[0])
    return found


def there():
    """Whether the table is there. :raises HostError: when nftables can't be asked."""
    code, answer, error = nftables().json_cmd({"nftables": [{"list": {"tables": {"family": FAMILY}}}]})
    if code != 0:
        raise HostError("nftables can't be asked for its tables: %s" % " ".join(str(error).split()))
    return any(item.get("table", {}).get("name") == TABLE for item in (answer or {}).get("nftables", ()))
