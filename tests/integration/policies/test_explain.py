# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects what ``ovn-k8s-util policy explain`` says: each verdict is that of ovn-trace, and names the right rule."""

from __future__ import annotations

import asyncio
import json

import pytest
import yaml
from database_server import PROGRAMS
from policy_world import HAS_TIERS, PolicyWorld

from ansible_collections.ovn.kubernetes.plugins.module_utils._programs import util

PODS = ("a/web", "a/client", "b/friend", "b/stranger")


@pytest.fixture
def ask(nb, northd, monkeypatch, capsys):
    """Runs the command; returns its exit status and its answer."""
    monkeypatch.setenv("PATH", f"{PROGRAMS / 'bin'}:/usr/bin:/bin")

    async def run(*arguments, as_json=True):
        more = ["--northbound", nb.remote, "--southbound", northd.southbound.remote, *(["--json"] if as_json else [])]
        status = await asyncio.to_thread(util.main, ["policy", "explain", *arguments, *more])
        output = capsys.readouterr()
        return status, json.loads(output.out) if as_json and output.out else output.out + output.err

    return run


def run(nb, northd, test):
    """Run a test with namespaces a and b, two pods in each, on different nodes."""

    async def main():
        async with PolicyWorld(nb) as world:
            for name, team in (("a", "red"), ("b", "blue")):
                world.namespace(name, **{"team": team, "kubernetes.io/metadata.name": name})
            world.pod("a/web", 1, [("http", 8080)], app="web")
            world.pod("a/client", 1, app="client")
            world.pod("b/friend", 2, [("http", 9090)], app="friend")
            world.pod("b/stranger", 2, app="stranger")
            await sync(world, northd)
            await test(world)

    asyncio.run(asyncio.wait_for(main(), 240))


async def sync(world, northd):
    """Wait until OVN has what the objects say."""
    await world.settled()
    await asyncio.to_thread(northd.sync)


def rules(answer, direction):
    """(verdict, [(kind, name, rule)], ovn-trace's verdict) of an end, for each way."""
    return [
        (
            way[direction]["verdict"],
            [(one["kind"], one["name"], one["rule"]) for one in way[direction]["acls"]],
            way["trace"]["verdict"],
        )
        for way in answer["ways"]
    ]


def test_which_rule_of_which_policy(nb, northd, ask):
    """Protects the answer: the number of the rule that lets a packet through, or who isolates the pod, in both IP
    versions; and the rule that it proposes does let it through.
    """

    async def test(world):
        status, answer = await ask("b/friend", "a/web", "8080")
        assert status == 0 and rules(answer, "ingress") == [("allowed", [], "allowed")] * 2
        teams = [
            {"namespaceSelector": {"matchLabels": {"team": "blue"}}, "podSelector": {"matchLabels": {"app": "friend"}}}
        ]
        ingress = [{"from": [{"podSelector": {}}], "ports": [{"port": 1}]}, {"from": "no list"}, {"from": teams}]
        world.policy("a/in", podSelector={"matchLabels": {"app": "web"}}, ingress=ingress)
        world.policy("b/out", podSelector={"matchLabels": {"app": "stranger"}}, policyTypes=["Egress"])
        world.policy("b/out2", podSelector={"matchLabels": {"app": "stranger"}}, policyTypes=["Egress"])
        await sync(world, northd)
        status, answer = await ask("b/friend", "a/web", "8080")
        assert status == 0 and rules(answer, "ingress") == [("allowed", [("NetworkPolicy", "a/in", 2)], "allowed")] * 2
        status, answer = await ask("a/client", "a/web", "8080")
        assert status == 3 and rules(answer, "ingress") == [("denied", [("NetworkPolicy", "a/in", None)], "denied")] * 2
        assert {way["trace"]["end"] for way in answer["ways"]} == {"ingress"}
        status, answer = await ask("b/stranger", "a/web", "8080")
        ends = rules(answer, "egress")[0]
        assert status == 3 and sorted(ends[1]) == [("NetworkPolicy", f"b/{name}", None) for name in ("out", "out2")]
        assert {way["trace"]["end"] for way in answer["ways"]} == {"egress"}
        proposed = answer["ways"][0]["egress"]["would_pass_with"]["yaml"]
        assert "kubernetes.io/metadata.name: a}" in proposed and "port: 8080" in proposed
        # What it proposes, in the policies that it names, does let it through.
        ways = answer["ways"][0]
        more = {end: yaml.safe_load(ways[end]["would_pass_with"]["yaml"])[end] for end in ("egress", "ingress")}
        stranger = {"podSelector": {"matchLabels": {"app": "stranger"}}, "policyTypes": ["Egress"]}
        world.policy("b/out", **stranger, egress=more["egress"])
        web = {"matchLabels": {"app": "web"}}
        world.policy("a/in", podSelector=web, ingress=[*ingress, *more["ingress"]])
        await sync(world, northd)
        status, answer = await ask("b/stranger", "a/web", "8080")
        assert status == 0 and rules(answer, "egress") == [("allowed", [("NetworkPolicy", "b/out", 0)], "allowed")] * 2
        assert rules(answer, "ingress") == [("allowed", [("NetworkPolicy", "a/in", 3)], "allowed")] * 2
        world.policy("b/out", **stranger)
        world.policy("a/in", podSelector=web, ingress=ingress)
        await sync(world, northd)
        status, text = await ask("b/stranger", "a/web", "8080/udp", as_json=False)
        assert "isolated by NetworkPolicy b/out, NetworkPolicy b/out2" in text and "ovn-trace: confirms it" in text
        assert "DISAGREES" not in text
        # All pairs, ports and protocols: the rows say what ovn-trace says.
        for client in PODS:
            for server in PODS:
                for port in ("1", "9090/udp") if client != server else ():
                    status, answer = await ask(client, server, port)
                    assert status in (0, 3) and [way["trace"]["differs"] for way in answer["ways"]] == ["", ""]

    run(nb, northd, test)


def test_addresses_and_services(nb, northd, ask):
    """Protects the answer for what is no pod's name: a service's address stands for its endpoints, an address of a pod
    for the pod, and of one outside only what is sent is judged.
    """

    async def test(world):
        world.service("b/s", "10.96.0.10", 80, "b/friend", target=9090)
        world.service("b/s6", "fd96::10", 80, "b/stranger", target=9090)
        rule = {"to": [{"namespaceSelector": {}, "podSelector": {"matchLabels": {"app": "friend"}}}]}
        networks = {
            "to": [{"ipBlock": {"cidr": "198.51.100.0/24", "except": ["198.51.100.7/32"]}}],
            "ports": [{"port": 443}],
        }
        world.policy("a/out", podSelector={}, policyTypes=["Egress"], egress=[rule, networks])
        await sync(world, northd)
        status, answer = await ask("a/web", "10.96.0.10", "80")
        assert status == 0 and rules(answer, "egress") == [("allowed", [("NetworkPolicy", "a/out", 0)], "allowed")]
        assert (answer["ways"][0]["service"], answer["ways"][0]["server"]) == ("Service b/s", "b/friend")
        status, answer = await ask("a/web", "fd96::10", "80")
        assert status == 3 and rules(answer, "egress")[0][2] == "denied" and answer["ways"][0]["server"] == "b/stranger"
        status, answer = await ask("a/web", world.address("b/stranger"), "80")
        assert status == 3 and answer["ways"][0]["server"] == "b/stranger"
        for address, expected in (("198.51.100.8", 0), ("198.51.100.7", 3), ("203.0.113.1", 3)):
            status, answer = await ask("a/web", address, "443")
            assert (status, answer["ways"][0]["trace"]["differs"]) == (expected, "")
        # Who may reach an address is said by ACLs of the switch's other ports.
        ranges = ["192.168.2.0/24"]
        world.service("b/r", "10.96.0.21", 80, "b/friend", target=9090, outside="198.51.100.9", ranges=ranges)
        await sync(world, northd)
        status, refused = await ask("a/web", "198.51.100.9", "80")
        assert status == 3
        assert rules(refused, "egress") == [("denied", [("Service", "b/r", None)], "denied")]
        assert "would_pass_with" not in refused["ways"][0]["egress"]
        status, allowed = await ask("b/stranger", "198.51.100.9", "80")
        assert status == 0 and rules(allowed, "egress") == [("allowed", [("Service", "b/r", None)], "allowed")]
        assert "ipBlock: {cidr: 203.0.113.1/32}" in answer["ways"][0]["egress"]["would_pass_with"]["yaml"]

    run(nb, northd, test)


def test_egress_firewalls(nb, northd, ask):
    """Protects the answer where an egress firewall drops: it names the rule, or between which rules it is, also where
    protocols without ports are dropped; what a firewall leaves to others is not allowed by it.
    """

    async def test(world):
        ports = [{"protocol": "TCP", "port": 443}]
        world.firewall(
            "a/default",
            {"type": "Allow", "to": {"cidrSelector": "198.51.100.8/32"}, "ports": ports},
            {"type": "Deny", "to": {"cidrSelector": "198.51.100.0/24"}},
            {"type": "Deny", "to": {"cidrSelector": "2001:db8::/32"}},
            {"type": "Allow", "to": {"cidrSelector": "203.0.113.7/32"}},
            {"type": "Deny", "to": {"cidrSelector": "203.0.113.0/24"}},
        )
        await sync(world, northd)
        world.policy("b/out", podSelector={}, policyTypes=["Egress"], egress=[{}])
        await sync(world, northd)
        firewall = ("EgressFirewall", "a/default")
        for address, port, expected in (
            ("198.51.100.9", "443", [(*firewall, 1)]),
            ("198.51.100.8", "80", [(*firewall, 1)]),
            ("2001:db8::1", "53/udp", [(*firewall, 1)]),
            ("203.0.113.8", "80", [(*firewall, 4)]),
            ("198.51.100.8", "443", []),
            ("203.0.113.7", "80", []),
            ("192.0.2.1", "80", []),
        ):
            status, answer = await ask("a/web", address, port)
            said = "denied" if expected else "allowed"
            assert (status, rules(answer, "egress")) == (3 if expected else 0, [(said, expected, said)]), address
            (way,) = answer["ways"]
            assert way["trace"]["differs"] == "" and "would_pass_with" not in way["egress"]
            last = [2] if expected == [(*firewall, 1)] else [None for _rule in expected]
            assert [one.get("last_rule") for one in way["egress"]["acls"]] == last
        status, text = await ask("a/web", "198.51.100.9", "443", as_json=False)
        assert "by a rule from 1 to 2 of EgressFirewall a/default" in text and "ovn-trace: confirms it" in text
        status, text = await ask("a/web", "203.0.113.8", "443", as_json=False)
        assert "by rule 4 of EgressFirewall a/default" in text
        # Inside of the cluster, and for other namespaces, it says nothing.
        for client, server in (("a/web", "b/friend"), ("b/friend", "198.51.100.9")):
            status, answer = await ask(client, server, "80")
            assert status == 0 and all(way["trace"]["differs"] == "" for way in answer["ways"])
        # What it leaves to a policy, that one judges.
        world.policy("a/out", podSelector={}, policyTypes=["Egress"], egress=[{"ports": [{"port": 80}]}])
        await sync(world, northd)
        status, answer = await ask("a/web", "203.0.113.7", "80")
        assert status == 0 and rules(answer, "egress") == [("allowed", [("NetworkPolicy", "a/out", 0)], "allowed")]
        status, answer = await ask("a/web", "203.0.113.7", "81")
        assert status == 3 and rules(answer, "egress") == [("denied", [("NetworkPolicy", "a/out", None)], "denied")]

    run(nb, northd, test)


@pytest.mark.skipif(not HAS_TIERS, reason="OVN 23.03 has no tiers: $OVN_KUBERNETES_OVS may name newer programs")
def test_tiers(nb, northd, ask):
    """Protects the answer where cluster network policies decide: the rule of the tier that counts is named, a Pass
    leaves it to NetworkPolicies, and then to the tier Baseline; ovn-trace says the same.
    """
    red, blue = ({"namespaces": {"matchLabels": {"team": team}}} for team in ("red", "blue"))
    pods = {
        "pods": {
            "namespaceSelector": {"matchLabels": {"team": "blue"}},
            "podSelector": {"matchLabels": {"app": "friend"}},
        }
    }

    def port(number):
        return [{"tcp": {"destinationPort": {"number": number}}}]

    async def test(world):
        admin = [
            {"action": "Accept", "from": [blue], "protocols": port(1)},
            {"action": "Pass", "from": [pods]},
            {"action": "Deny", "from": [blue]},
        ]
        world.cluster_policy("admin", "Admin", 7, red, ingress=admin)
        world.cluster_policy("base", "Baseline", 0, red, ingress=[{"action": "Deny", "from": [blue]}])
        await sync(world, northd)

        async def says(client, number, verdict, *expected):
            status, answer = await ask(client, "a/web", str(number))
            assert rules(answer, "ingress") == [(verdict, list(expected), verdict)] * 2, (client, number)
            assert status == (0 if verdict == "allowed" else 3)
            assert [way["trace"]["differs"] for way in answer["ways"]] == ["", ""]

        kind = "ClusterNetworkPolicy"
        await says("b/stranger", 1, "allowed", (kind, "admin", 0))
        await says("b/stranger", 80, "denied", (kind, "admin", 2))
        await says("b/friend", 80, "denied", (kind, "base", 0))
        status, answer = await ask("a/client", "a/web", "80")
        assert status == 0 and [way["ingress"]["verdict"] for way in answer["ways"]] == ["allowed"] * 2
        world.policy("a/in", podSelector={"matchLabels": {"app": "web"}}, ingress=[{"ports": [{"port": 80}]}])
        await sync(world, northd)
        await says("b/friend", 80, "allowed", ("NetworkPolicy", "a/in", 0))
        await says("b/friend", 81, "denied", ("NetworkPolicy", "a/in", None))
        await says("b/stranger", 80, "denied", (kind, "admin", 2))
        status, text = await ask("b/stranger", "a/web", "80", as_json=False)
        assert "by rule 2 of ClusterNetworkPolicy admin" in text and "ovn-trace: confirms it" in text
        # What is sent, and an egress firewall before it.
        world.cluster_policy("out", "Admin", 1, red, egress=[{"action": "Accept", "to": [{"networks": ["0.0.0.0/0"]}]}])
        world.firewall("a/default", {"type": "Deny", "to": {"cidrSelector": "198.51.100.0/24"}})
        await sync(world, northd)
        for address, verdict, rule in (
            ("198.51.100.1", "denied", ("EgressFirewall", "a/default", 0)),
            ("203.0.113.1", "allowed", (kind, "out", 0)),
        ):
            status, answer = await ask("a/web", address, "80")
            assert rules(answer, "egress") == [(verdict, [rule], verdict)]

    run(nb, northd, test)


def test_what_is_refused(nb, northd, ask):
    """Protects the databases and the terminal from what is typed: nothing but names, addresses and numbers is asked
    for, and what is not there is said in a sentence.
    """

    async def test(world):
        hostile = ('a/"x', "a/b && 1", "a/../b", "A/b", "a", "a/b/c", "$(id)/x", "a/\x1b[31m", "-" * 10, "")
        for one in hostile:
            for arguments in ((one, "a/web", "80"), ("a/web", one, "80")):
                if not one.startswith("-"):
                    status, text = await ask(*arguments, as_json=False)
                    assert status == 1 and "NAMESPACE/NAME" in text and (len(one) < 2 or one not in text)
        for port in ("0", "65536", "http", "80/icmp", "80 || 1", "8\u0660", "1e3"):
            status, text = await ask("a/web", "a/client", port, as_json=False)
            assert status == 1 and "65535" in text
        status, text = await ask("a/web", "a/none", "80", as_json=False)
        assert status == 1 and "pod a/none has no port" in text
        # An ACL of somebody else, of which it can't be told, makes the answer uncertain, not wrong.
        await asyncio.to_thread(northd.nbctl, "acl-add", "node1", "to-lport", "32000", "ip.dscp == 3 && ip4", "drop")
        await sync(world, northd)
        status, answer = await ask("a/client", "a/web", "80")
        assert status == 4 and [way["ingress"]["verdict"] for way in answer["ways"]] == ["uncertain", "allowed"]

    run(nb, northd, test)
