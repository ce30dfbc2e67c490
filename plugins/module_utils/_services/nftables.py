# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Write and read the host's nftables table of services, by libnftables."""

from __future__ import annotations

import re

from .._common.errors import HostError
from .._host.apply import apply_steps
from .._host.desired import HostState, Sysctl
from .._host.plan import plan_host
from .._host.read import read_current
from .._netlink.libraries import nftables
from .host_rule_records import HostRules
from .ruleset import FAMILY, REMOVE, TABLE, render, serves_loopback

# Where nft(8) lists what is done with a UDP port: a chain of a node port, an address that leads to a chain whose name
# follows from its rules, or one rule.
UDP_RULES = (
    re.compile(r"^\tchain udp_(\d+) \{$.*?^\t\}$", re.M | re.S),
    re.compile(r"\S+ \. udp \. (\d+) : goto \w+"),
    re.compile(r"^.* udp dport (\d+) dnat .*$", re.M),
)


def write(rules: HostRules) -> None:
    """Put these rules in the place of the table. :raises HostError: when nftables refuses them."""
    _run(render(rules))
    set_route_localnet(rules.link, any(map(serves_loopback, rules.host_ports)))


def remove() -> None:
    """Remove the table, whether there is one or not. :raises HostError: when nftables refuses."""
    _run(REMOVE)


def _run(script: str) -> None:
    """Run a script in one transaction."""
    code, _output, error = nftables().cmd(script)
    if code != 0:
        reason = " ".join(str(error).split()) or "it gives no reason"
        raise HostError(f"nftables can't take the rules of services: {reason}")


def set_route_localnet(link: str, on: bool) -> None:
    """Set whether the link may carry loopback addresses: the host's own connections to host ports at 127.0.0.1 have
    them.

    The setting is route_localnet of ip-sysctl.rst in the kernel's documentation. A link that does not exist has no such
    setting.
    """
    setting = Sysctl(f"net/ipv4/conf/{link}/route_localnet", "1" if on else "0")
    desired = HostState(sysctls=(setting,))
    current = read_current(desired)
    if current.sysctls[setting] is not None:
        apply_steps(plan_host(current, desired))


def has_rules() -> bool:
    """Return whether the table is there, with rules in it.

    When nftables does not answer, the result is False: whoever writes the table then gets the reason.
    """
    chain = {"family": FAMILY, "table": TABLE, "name": "prerouting"}
    code, answer, _error = nftables().json_cmd({"nftables": [{"list": {"chain": chain}}]})
    return code == 0 and any("rule" in item for item in (answer or {}).get("nftables", ()))


def current_udp_rules() -> dict[int, set[str]]:
    """Return what the current table does with each UDP port, as nft(8) lists it; nothing when there is no table."""
    binding = nftables()
    binding.set_json_output(False)
    _code, text, _error = binding.cmd(f"list table {FAMILY} {TABLE}")
    result: dict[int, set[str]] = {}
    for pattern in UDP_RULES:
        for match in pattern.finditer(text):
            result.setdefault(int(match[1]), set()).add(match[0])
    return result


def exists() -> bool:
    """Return whether the table is there. :raises HostError: when nftables does not answer."""
    code, answer, error = nftables().json_cmd({"nftables": [{"list": {"tables": {"family": FAMILY}}}]})
    if code != 0:
        raise HostError(f"nftables can't list its tables: {' '.join(str(error).split())}")
    return any(item.get("table", {}).get("name") == TABLE for item in (answer or {}).get("nftables", ()))
