# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Links of a test's own network namespace: made, and read as ip(8) shows them."""

from __future__ import annotations

import json
import subprocess
import time

import pytest
from network_namespace import ip, ip_batch

VOLATILE = ("ifindex", "valid_life_time", "preferred_life_time")


def tool(*arguments):
    return subprocess.run(arguments, check=True, capture_output=True, text=True, timeout=10).stdout


def snapshot(*links):
    """All that ip tells of the links' addresses and of all routes that lead over them, in every table.

    Without those of IPv6 addresses themselves, which the kernel adds a moment after the address.
    """
    found = {}
    for link in links:
        (shown,) = json.loads(ip(f"-j address show dev {link}"))
        found[link] = [
            {key: value for key, value in entry.items() if key not in VOLATILE}
            for entry in shown["addr_info"]
            if entry["scope"] != "link"
        ]
    for family in "46":
        for route in json.loads(ip(f"-{family} -j route show table all") or "[]"):
            over = {route.get("dev")} | {hop.get("dev") for hop in route.get("nexthops", ())}
            if route.get("table") == "local" and family == "6":
                continue
            if over & set(links) and not str(route["dst"]).startswith(("fe80", "ff00", "multicast")):
                found.setdefault("routes", []).append(json.dumps(route, sort_keys=True))
    found["routes"] = sorted(found.get("routes", ()))
    return found


def bound_rules(*links):
    """Lines of ip that tell of rules bound to the links."""
    return [line for family in "46" for line in ip(f"-{family} rule").splitlines() if set(links) & set(line.split())]


def pair(name, peer=None, up=True):
    """A veth link of that name, and its other end; no link-local addresses, which come late and at random."""
    peer = peer or name + "p"
    ip_batch(
        [
            f"link add {name} type veth peer name {peer}",
            *(f"link set {end} addrgenmode none" for end in (name, peer)),
            *(f"link set {end} up" for end in (name, peer) if up),
        ]
    )
    deadline = time.monotonic() + 10
    while up and '"operstate":"UP"' not in ip(
        f"-j link show dev {name}"
    ):  # the carrier comes a moment later, and routes show it
        if time.monotonic() > deadline:
            pytest.fail(f"link {name} does not come up")
        time.sleep(0.01)


def link_state(name):
    """What of a link a plan can change."""
    (link,) = json.loads(ip(f"-j link show dev {name}"))
    return "UP" in link["flags"], link["mtu"], link["address"]
