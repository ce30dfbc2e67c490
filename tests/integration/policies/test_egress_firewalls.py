# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects what pods may reach outside by egress firewalls: what real OVN, asked with ovn-trace, makes of the rows."""

from __future__ import annotations

import asyncio

from policy_world import PolicyWorld, Verdicts

KEY = "a/default"


def run(nb, northd, test):
    """Run a test with two nodes, two pods in namespace a, and one in b."""

    async def main():
        world = PolicyWorld(nb)
        async with world:
            for name in ("a", "b"):
                world.namespace(name, team=name)
            world.pod("a/web", 1, [("http", 8080)], app="web")
            world.pod("a/client", 1, app="client")
            world.pod("b/friend", 2, [("http", 9090)], app="friend")
            await world.settled()
            await test(world, Verdicts(world, northd))

    asyncio.run(asyncio.wait_for(main(), 500))


async def sync(world, northd):
    """Wait until OVN has what the objects say."""
    await world.settled()
    await asyncio.to_thread(northd.sync)


def rule(kind, port=None, protocol="TCP", **target):
    """A rule of a firewall."""
    ports = [{"protocol": protocol, "port": port}] if port else []
    return {"type": kind, "to": target, **({"ports": ports} if ports else {})}


def allow(cidr, *port):
    """A rule that allows a network."""
    return rule("Allow", *port, cidrSelector=cidr)


def deny(cidr, *port):
    """A rule that denies a network."""
    return rule("Deny", *port, cidrSelector=cidr)


def test_order_ports_and_families(nb, northd):
    """Protects the meaning of rules in their order: the first that matches counts, each IP version and each port by
    itself, for the pods of the namespace only; what none matches is allowed; and after the firewall is gone nothing of
    it is left.
    """

    async def test(world, verdicts):
        def to(address, source="a/web", **more):
            return verdicts.from_pod(source, address, **more)

        await sync(world, northd)
        assert to("203.0.113.7") and to("2001:db8::7")
        world.firewall(
            KEY,
            allow("203.0.113.0/25"),
            deny("203.0.113.64/26"),  # allowed before
            allow("198.51.100.0/24", 443),
            deny("198.51.100.7/32", 443),
            allow("2001:db8::/64"),
            deny("0.0.0.0/0"),
            allow("203.0.113.200/32"),  # denied before
            deny("::/0", 25, "TCP"),
        )
        await sync(world, northd)
        for source in ("a/web", "a/client"):
            assert to("203.0.113.7", source) and to("203.0.113.70", source) and not to("203.0.113.129", source)
            assert not to("203.0.113.200", source) and not to("8.8.8.8", source)
            assert to("198.51.100.7", source, port=443) and not to("198.51.100.7", source, port=80)
            assert not to("198.51.100.7", source, port=443, protocol="udp")
            assert not to("198.51.100.7", source, port=443, protocol="sctp")
            assert not to("198.51.100.7", source, protocol="icmp")
            assert to("2001:db8::7", source, port=25) and to("2001:db9::7", source)
            assert not to("2001:db9::7", source, port=25) and to("2001:db9::7", source, port=25, protocol="udp")
        assert to("203.0.113.129", "b/friend") and to("2001:db9::7", "b/friend", port=25)
        assert world.status("egressfirewalls", KEY) == {
            "status": "EgressFirewall Rules applied",
            "messages": ["global: EgressFirewall Rules applied"],
        }
        # Connections that were there, and answers to those that come from outside.
        assert not to("8.8.8.8", ct="est") and to("8.8.8.8", ct="est,rpl")
        # Only a port is denied, and only of one protocol.
        world.firewall(KEY, deny("0.0.0.0/0", 53, "UDP"))
        await sync(world, northd)
        assert not to("8.8.8.8", port=53, protocol="udp") and to("8.8.8.8", port=53) and to("8.8.8.8", protocol="icmp")
        world.delete("egressfirewalls", KEY)
        await sync(world, northd)
        assert to("8.8.8.8", port=53, protocol="udp")
        assert world.acls("EgressFirewall") == [] and world.groups() == {}

    run(nb, northd, test)


def test_the_cluster_is_not_outside(nb, northd):
    """Protects traffic inside of the cluster from a firewall that denies everything: other pods, services of pods, and
    the pod's own node at its address in the pods' network; nodes' other addresses are denied, as is what a service
    outside has as its endpoint.
    """

    async def test(world, verdicts):
        hosts = {"203.0.113.20": 1, "2001:db8::20": 1, "10.96.0.20": 1, "203.0.113.21": 2, "203.0.113.22": 2}

        def to(address, source="a/web", **more):
            if address in hosts:  # a node's own address is reached by its management port
                more["reaches"] = f"k8s-node{hosts[address]}"
            return verdicts.from_pod(source, address, **more)

        world.service("b/friend", "10.96.0.10", 80, "b/friend", target=9090)
        ports = [{"name": "p", "port": 80, "protocol": "TCP"}]
        spec = {"clusterIP": "10.96.0.20", "clusterIPs": ["10.96.0.20"], "type": "ClusterIP", "ports": ports}
        world.put("services", "b", "out", spec=spec, status={"loadBalancer": {}})
        world.put(
            "endpointslices",
            "b",
            "out-4",
            metadata={"labels": {"kubernetes.io/service-name": "out"}},
            addressType="IPv4",
            ports=[{"name": "p", "port": 6443, "protocol": "TCP"}],
            endpoints=[{"addresses": ["203.0.113.20"], "conditions": {"ready": True}}],
        )
        world.node(1, "203.0.113.20", "2001:db8::20", zone="x")
        world.node(2, "203.0.113.21", zone="y")
        await sync(world, northd)
        assert to("203.0.113.20") and to("10.96.0.20")
        world.firewall(KEY, deny("0.0.0.0/0"), deny("::/0"))
        await sync(world, northd)
        for version in (4, 6):
            assert to(world.address("a/client", version)) and to(world.address("b/friend", version))
        assert to("10.96.0.10", reaches="b/friend")
        assert to("192.168.1.2", reaches="k8s-node1") and to("192.168.2.2", reaches="k8s-node2")
        assert not to("203.0.113.20") and not to("203.0.113.21") and not to("2001:db8::20") and not to("10.96.0.20")
        # Nodes by their labels, with their addresses and labels as they are now.
        nodes = rule("Allow", nodeSelector={"matchLabels": {"zone": "x"}})
        world.firewall(KEY, nodes, deny("0.0.0.0/0"), deny("::/0"))
        await sync(world, northd)
        assert to("203.0.113.20") and to("2001:db8::20") and to("10.96.0.20") and not to("203.0.113.21")
        world.node(2, "203.0.113.22", zone="x")
        world.node(1, "203.0.113.20", zone="y")
        await sync(world, northd)
        assert not to("203.0.113.20") and not to("203.0.113.21") and to("203.0.113.22")
        # It comes before network policies, and leaves to them what it does not drop.
        world.policy("a/all", podSelector={}, policyTypes=["Egress"], egress=[{}])
        await sync(world, northd)
        assert not to("203.0.113.20") and to("203.0.113.22")
        world.policy("a/all", podSelector={}, policyTypes=["Egress"])
        await sync(world, northd)
        assert not to("203.0.113.22")

    run(nb, northd, test)


def test_domain_names(nb, northd):
    """Protects rules with domain names: their addresses count, and a change of them is written as it comes; a wildcard,
    which is not served, allows nothing, denies everything, and the status says so.
    """

    async def test(world, verdicts):
        def to(address, source="a/web", **more):
            return verdicts.from_pod(source, address, **more)

        world.answer("www.example.com", "203.0.113.7", "2001:db8::7")
        world.answer("bad.example.com", "203.0.113.66", "192.168.2.3")
        world.firewall(
            KEY,
            rule("Deny", dnsName="bad.example.com"),
            rule("Allow", 443, dnsName="WWW.example.com."),
            allow("203.0.113.64/26"),
            deny("0.0.0.0/0"),
            deny("::/0"),
        )
        await sync(world, northd)
        assert to("203.0.113.7", port=443) and not to("203.0.113.7") and to("2001:db8::7", port=443)
        assert not to("203.0.113.66") and to("203.0.113.65") and not to("203.0.113.8", port=443)
        status = world.status("egressfirewalls", KEY)
        assert status["status"] == "EgressFirewall Rules not correctly applied" and "bad.example.com" in str(status)
        assert not to("2001:db8::8", port=443)
        names = world.cluster.domains.names
        world.answer("www.example.com", "203.0.113.8")
        for side in names._sides.values():
            side.due = 0.0
        names.begin(lambda name: names.addresses(name))
        await sync(world, northd)
        assert to("203.0.113.8", port=443) and to("203.0.113.7", port=443)  # the old one lingers
        # A wildcard.
        world.firewall(KEY, rule("Allow", dnsName="*.example.com"), deny("203.0.113.0/24"))
        await sync(world, northd)
        assert names.names() == []
        assert not to("203.0.113.7") and to("8.8.8.8")
        assert "wildcard" in world.status("egressfirewalls", KEY)["messages"][0]
        world.firewall(KEY, allow("8.8.8.8/32"), rule("Deny", dnsName="*.example.com"))
        await sync(world, northd)
        assert to("8.8.8.8") and not to("203.0.113.7") and not to("2001:db8::7")
        world.delete("egressfirewalls", KEY)
        await sync(world, northd)
        kinds = {row.owner.type for row in world.cluster.replica.rows["Address_Set"].values() if row.owner}
        assert not kinds & {"EgressFirewall", "PolicyDomain", "PolicyPeers"}

    run(nb, northd, test)
