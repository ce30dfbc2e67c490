# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects what pods may reach outside by egress firewalls: what real OVN, asked with ovn-trace, makes of the rows."""

from __future__ import annotations

import asyncio

import pytest
from policy_world import HAS_TIERS, PolicyWorld, Verdicts

from ansible_collections.ovn.kubernetes.plugins.module_utils._policies import domain_names
from ansible_collections.ovn.kubernetes.plugins.module_utils._policies.networks import Spans

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


def test_an_account_that_may_not_read_them(nb, northd):
    """Protects what is denied from a restart of the watcher with an account that may not read firewalls (403): their
    rows stay, with the group that these belong to, also for pods that come; with the right again what is gone goes.
    """

    async def first(world, _verdicts):
        world.firewall(KEY, deny("0.0.0.0/0"))
        await sync(world, northd)

    run(nb, northd, first)

    async def second():
        world = PolicyWorld(nb)
        informer = world.cluster.informers["egressfirewalls"]
        informer.is_forbidden = True
        for name in ("a", "b"):
            world.namespace(name, team=name)
        world.pod("a/web", 1)
        async with world:
            verdicts = Verdicts(world, northd)
            world.pod("a/new", 1)
            await sync(world, northd)
            for source in ("a/web", "a/new"):
                assert not verdicts.from_pod(source, "8.8.8.8"), source
            assert len(world.acls("EgressFirewall")) == 1 and len(world.groups()) == 1
            informer.is_forbidden = False
            world.begin()
            await sync(world, northd)
            assert world.acls("EgressFirewall") == [] and world.groups() == {}
            assert verdicts.from_pod("a/new", "8.8.8.8")

    asyncio.run(asyncio.wait_for(second(), 200))


def test_groups_with_rows_of_others_stay(nb):
    """Protects rows that nobody has told the watcher of: a group that no object uses any more stays as long as it has
    an ACL that is not its own, which would go with it.
    """

    async def test():
        async with PolicyWorld(nb) as world:
            world.namespace("a")
            world.pod("a/web", 1)
            world.policy("a/p", podSelector={})
            await world.settled()
            (group,) = (row["name"] for row in nb.rows("Port_Group") if row["name"].startswith("policy_"))
            nb.transact(
                {
                    "op": "insert",
                    "table": "ACL",
                    "uuid-name": "own",
                    "row": {"direction": "from-lport", "priority": 5, "match": f"inport == @{group}", "action": "drop"},
                },
                {
                    "op": "mutate",
                    "table": "Port_Group",
                    "where": [["name", "==", group]],
                    "mutations": [["acls", "insert", ["named-uuid", "own"]]],
                },
            )
            world.delete("networkpolicies", "a/p")
            await world.settled()
            assert world.acls() == []
            assert [row["match"] for row in nb.rows("ACL") if row["priority"] == 5] == [f"inport == @{group}"]
            nb.transact(
                {
                    "op": "update",
                    "table": "Port_Group",
                    "where": [["name", "==", group]],
                    "row": {"acls": ["set", []]},
                }
            )
            await world.settled()
            world.begin()
            await world.settled()
            assert group not in {row["name"] for row in nb.rows("Port_Group")}

    asyncio.run(asyncio.wait_for(test(), 100))


def test_other_kinds_keep_their_groups(nb):
    """Protects EgressQoS and multicast from a restart: groups that their rows name stay until these are as desired,
    also where this account may not read the objects.
    """

    def namespaces(world):
        world.put("namespaces", "", "a", metadata={"annotations": {"k8s.ovn.org/multicast-enabled": "true"}})
        world.pod("a/web", 1, app="web")

    def count(table, kind):
        return sum(dict(row["external_ids"][1]).get("k8s.ovn.org/owner-type") == kind for row in nb.rows(table))

    async def first():
        async with PolicyWorld(nb) as world:
            namespaces(world)
            web = {"matchLabels": {"app": "web"}}
            world.put("egressqoses", "a", "default", spec={"egress": [{"dscp": 46, "podSelector": web}]})
            await world.settled()

    async def second():
        world = PolicyWorld(nb)
        world.cluster.informers["egressqoses"].is_forbidden = True
        namespaces(world)
        async with world:
            await world.settled()
            assert {row["name"] for row in nb.rows("Port_Group")} == before and count("QoS", "EgressQoS") == 1
            assert count("ACL", "Multicast") == acls
            world.cluster.informers["egressqoses"].is_forbidden = False
            world.namespace("a")
            world.begin()
            await world.settled()
            assert count("QoS", "EgressQoS") == 0 and world.groups() == {} and world.sets() == {}

    asyncio.run(asyncio.wait_for(first(), 100))
    before = {row["name"] for row in nb.rows("Port_Group")}
    acls = count("ACL", "Multicast")
    assert count("QoS", "EgressQoS") == 1 and acls
    asyncio.run(asyncio.wait_for(second(), 100))


def test_names_beyond_what_is_served(nb, monkeypatch):
    """Protects firewalls that came late: names that were too many count when others are gone, and their status says so;
    and a Deny of a name with more addresses than are served denies everything of that IP version, not only some.
    """
    monkeypatch.setattr(domain_names, "MAXIMUM_NAMES", 3)
    monkeypatch.setattr(domain_names, "MAXIMUM_ADDRESSES", 5)

    def networks(world):
        rows = world.cluster.replica.rows["Address_Set"].values()
        return {
            one for row in rows if row.owner and row.owner.type == "EgressFirewall" for one in row.columns["addresses"]
        }

    def text(world, key):
        return world.status("egressfirewalls", key)["messages"][0]

    async def test():
        async with PolicyWorld(nb) as world:
            world.answer("late0.example.com", "203.0.113.7")
            for name in ("a", "b"):
                world.namespace(name)
            world.firewall("a/default", *(rule("Deny", dnsName=f"n{n}.example.com") for n in range(3)))
            await world.settled()
            world.firewall("b/default", *(rule("Deny", dnsName=f"late{n}.example.com") for n in range(2)))
            await world.settled()
            assert "too many domain names" in text(world, "b/default") and "0.0.0.0/1" in networks(world)
            world.firewall("a/default", rule("Deny", dnsName="n0.example.com"))
            await world.settled()
            assert text(world, "b/default").endswith("applied") and networks(world) == {"203.0.113.7/32"}
            # More addresses than are served.
            world.delete("egressfirewalls", "b/default")
            world.answer("n1.example.com", *(f"198.51.100.{2 * n}" for n in range(1, 7)), "2001:db8::7")
            world.firewall("a/default", rule("Deny", dnsName="n1.example.com"))
            await world.settled()
            assert "0.0.0.0/1" in networks(world) and "2001:db8::7/128" in networks(world)
            assert not any(one.endswith("::/1") for one in networks(world)) and "denies all" in text(world, "a/default")

    asyncio.run(asyncio.wait_for(test(), 100))


@pytest.mark.skipif(not HAS_TIERS, reason="OVN 23.03 has no tiers: $OVN_KUBERNETES_OVS may name newer programs")
def test_names_of_cluster_policies_beyond_what_is_served(nb, monkeypatch):
    """Protects cluster network policies in the same way: a name that was too much lets through when there is room."""
    monkeypatch.setattr(domain_names, "MAXIMUM_NAMES", 1)

    async def test():
        async with PolicyWorld(nb) as world:
            world.namespace("a")
            world.pod("a/web", 1)
            world.firewall(KEY, rule("Deny", dnsName="first.example.com"))
            await world.settled()
            names = [{"domainNames": ["second.example.com"]}]
            world.cluster_policy("late", egress=[{"action": "Accept", "to": names}])
            await world.settled()
            assert not world.cluster.domains.names.users("second.example.com")
            assert "too many" in str(world.api.applied[-1][1])
            world.delete("egressfirewalls", KEY)
            await world.settled()
            assert world.cluster.domains.names.users("second.example.com")
            assert {action for _direction, action, *_rest in world.acls("ClusterNetworkPolicy")} == {"allow-related"}
            assert "too many" not in str(world.api.applied[-1][1])

    asyncio.run(asyncio.wait_for(test(), 100))


def test_a_status_that_somebody_else_writes(nb):
    """Protects users from a status that is wrong: what another program has written late is written again."""

    async def test():
        async with PolicyWorld(nb) as world:
            world.namespace("a")
            world.firewall(KEY, deny("0.0.0.0/0"))
            await world.settled()
            good = world.status("egressfirewalls", KEY)
            world.firewall(KEY, deny("0.0.0.0/0"), status=good)
            await world.settled()
            patches = world.api.patches
            world.firewall(KEY, deny("0.0.0.0/0"), status={"status": "EgressFirewall Rules not correctly applied"})
            await world.settled()
            assert world.api.patches == patches + 1 and world.status("egressfirewalls", KEY) == good
            world.firewall(KEY, deny("0.0.0.0/0"), status=good)
            await world.settled()
            assert world.api.patches == patches + 1

    asyncio.run(asyncio.wait_for(test(), 100))


def test_who_stands_by_ends_statuses(nb):
    """Protects the status that the next watcher writes: a watcher that stands by ends what is on its way."""

    async def test():
        async with PolicyWorld(nb) as world:
            asked, ended = asyncio.Event(), asyncio.Event()

            async def patch(_path, _body):
                asked.set()
                try:
                    await asyncio.Event().wait()
                finally:
                    ended.set()

            world.api.patch = patch
            world.namespace("a")
            world.firewall(KEY, deny("0.0.0.0/0"))
            await asked.wait()
            world.cluster.leadership._stand_by()
            await ended.wait()
            assert not len(world.cluster.statuses)

    asyncio.run(asyncio.wait_for(test(), 100))


def test_link_local_addresses_of_hosts(nb, northd):
    """Protects name resolution of pods (NodeLocal DNSCache) from a Deny of everything, as long as a host carries the
    address; and what clouds serve at such addresses from being reached, whatever a host tells.
    """
    cache, metadata, credentials = "169.254.25.10", "169.254.169.254", "169.254.170.2"

    def carries(world, number, *addresses):
        annotations = {"ovn.kubernetes/link-local-addresses": ",".join(addresses)}
        world.put("nodes", "", f"node{number}", metadata={"annotations": annotations}, status={})

    def dropped(world):
        rows = world.cluster.replica.rows["Address_Set"].values()
        found = [row.columns["addresses"] for row in rows if row.owner and row.owner.type == "EgressFirewall"]
        return {one for one in (cache, metadata, credentials) if any(Spans(some).have(one) for some in found)}

    async def test(world, verdicts):
        carries(world, 1, cache, metadata)
        carries(world, 2, cache)
        world.firewall(KEY, deny("0.0.0.0/0"))
        await sync(world, northd)
        assert dropped(world) == {metadata, credentials}
        assert verdicts.from_pod("a/web", cache, port=53, protocol="udp", reaches="k8s-node1")
        carries(world, 1)
        await sync(world, northd)
        assert dropped(world) == {metadata, credentials}
        before = world.cluster.engine.transactions
        carries(world, 2)
        await sync(world, northd)
        assert dropped(world) == {cache, metadata, credentials} and world.cluster.engine.transactions > before
        for number in (1, 2):
            carries(world, number, *(f"169.254.{n}.1" for n in range(1, 9)))
        carries(world, 3, cache)
        await sync(world, northd)
        assert dropped(world) == {cache, metadata, credentials}, "eight count, which most nodes carry"

    run(nb, northd, test)
