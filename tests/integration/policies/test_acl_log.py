# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects the log of ACLs: what a namespace's annotation asks for is in the rows of its policies, and of no others;
what can't be read is refused in words; and a packet makes the line that was asked for.
"""

from __future__ import annotations

import asyncio
import json
import time

import network_namespace
import pytest
from database_server import wait_for
from policy_world import HAS_TIERS, PolicyWorld

from ansible_collections.ovn.kubernetes.plugins.module_utils._ovsdb.values import as_set

from .packets import Node

BOTH = '{"deny": "alert", "allow": "notice"}'
RULE = [{"from": [{"podSelector": {"matchLabels": {"app": "client"}}}]}]


def annotated(world, name, text):
    """Make or change a namespace with the annotation."""
    annotations = {} if text is None else {"k8s.ovn.org/acl-logging": text}
    world.put("namespaces", "", name, metadata={"labels": {}, "annotations": annotations})


def logged(world, namespace, kind="NetworkPolicy"):
    """Name -> (log, severity, meter) of the ACLs of a namespace's objects."""
    rows = [row for row in world.cluster.replica.rows["ACL"].values() if row.owner and row.owner.type == kind]
    mine = [row for row in rows if row.owner.name.startswith(f"{namespace}/")]
    return {
        row.columns["name"]: (row.columns["log"], *(as_set(row.columns[one]) for one in ("severity", "meter")))
        for row in mine
    }


def test_rows_of_a_namespace(nb):
    """Protects other namespaces: an annotation that comes, changes and goes changes the log columns of its own
    namespace's ACLs, and no other row; the meter is there with the first of them.
    """

    async def main():
        async with PolicyWorld(nb) as world:
            for name in ("a", "b"):
                annotated(world, name, None)
                world.policy(f"{name}/p", podSelector={}, policyTypes=["Ingress", "Egress"], ingress=RULE)
            await world.settled()
            off = (False, (), ())
            assert logged(world, "a") == {"NP:a:Ingress": off, "NP:a:Egress": off, "NP:a:p:Ingress:0": off}
            assert not nb.rows("Meter")
            before = nb.everything()
            annotated(world, "a", BOTH)
            await world.settled()
            alert, notice = ((True, (severity,), ("acl-logging",)) for severity in ("alert", "notice"))
            assert logged(world, "a") == {"NP:a:Ingress": alert, "NP:a:Egress": alert, "NP:a:p:Ingress:0": notice}
            assert set(logged(world, "b").values()) == {off}
            (meter,), (band,) = nb.rows("Meter"), nb.rows("Meter_Band")
            assert (meter["name"], meter["fair"], meter["unit"]) == ("acl-logging", True, "pktps")
            assert (band["rate"], band["action"]) == (20, "drop")
            after = nb.everything()
            changed = [row for table in before for uuid, row in after[table].items() if row != before[table].get(uuid)]
            assert len(changed) == 6  # four ACLs, of which two are a rule, the meter and its band
            annotated(world, "a", '{"allow": "info", "deny": ""}')
            await world.settled()
            info = (True, ("info",), ("acl-logging",))
            assert logged(world, "a") == {"NP:a:Ingress": off, "NP:a:Egress": off, "NP:a:p:Ingress:0": info}
            # A policy that comes later is logged from its first moment, and a restart changes nothing.
            world.policy("a/q", podSelector={}, ingress=RULE)
            await world.settled()
            assert logged(world, "a")["NP:a:q:Ingress:0"] == info
            written = nb.everything()
            world.begin()
            await world.settled()
            assert nb.everything() == written
            # Somebody changes the rate: it is restored.
            await world.cluster.replica.transact(
                [{"op": "update", "table": "Meter_Band", "where": [], "row": {"rate": 1000000}}]
            )
            await world.settled()
            assert [row["rate"] for row in nb.rows("Meter_Band")] == [20]
            annotated(world, "a", None)
            await world.settled()
            assert set(logged(world, "a").values()) == {off}

    asyncio.run(asyncio.wait_for(main(), 120))


def test_what_is_refused(nb):
    """Protects rows and terminals from an annotation's text: what can't be read asks for nothing, one event on the
    namespace says so without the text, and it is over with the next one that can be read.
    """
    hostile = (
        "alert",
        "[]",
        '{"deny": "loud\\"), drop"}',
        '{"denied": "alert"}',
        '{"deny": ["alert"]}',
        '{"deny": {"alert": 1}}',
        "[" * 1000,
        '{"deny": "alert"}' + " " * 2000,
    )

    async def main():
        async with PolicyWorld(nb) as world:
            annotated(world, "a", BOTH)
            world.policy("a/p", podSelector={})
            await world.settled()
            faults = []
            for text in hostile:
                annotated(world, "a", text)
                await world.settled()
                assert logged(world, "a") == {"NP:a:Ingress": (False, (), ())}, text
                faults.append(world.cluster.informers["namespaces"].store["a"].fault)
                annotated(world, "a", BOTH)
                await world.settled()
                assert logged(world, "a")["NP:a:Ingress"][0]
            while not world.api.events:
                await asyncio.sleep(0.01)
            assert {(reason, name) for reason, name, _message in world.api.events} == {("ACLLoggingRefused", "a")}
            assert len(faults) == len(hostile) and all(faults)
            said = " ".join([*faults, *(message for *_who, message in world.api.events)])
            assert "asks for nothing" in said and "loud" not in said and "denied" not in said and "[[" not in said

    asyncio.run(asyncio.wait_for(main(), 120))


def test_rows_of_an_egress_firewall(nb):
    """Protects who must know what pods tried to reach: drops of a firewall are logged as its namespace asks, with the
    number of the rule; what it leaves to others makes no lines.
    """

    async def main():
        async with PolicyWorld(nb) as world:
            annotated(world, "a", None)
            allow = {
                "type": "Allow",
                "to": {"cidrSelector": "198.51.100.7/32"},
                "ports": [{"protocol": "TCP", "port": 443}],
            }
            denied = [{"type": "Deny", "to": {"cidrSelector": one}} for one in ("198.51.100.0/24", "192.0.2.0/24")]
            world.firewall("a/default", denied[1], allow, denied[0], denied[1])
            await world.settled()
            off = (False, (), ())
            kind, names = "EgressFirewall", {"EF:a:0", "EF:a:2-3", "EF:a:ports"}
            assert logged(world, "a", kind) == dict.fromkeys(names, off)
            annotated(world, "a", BOTH)
            await world.settled()
            alert = (True, ("alert",), ("acl-logging",))
            assert logged(world, "a", kind) == {"EF:a:0": alert, "EF:a:2-3": alert, "EF:a:ports": off}
            annotated(world, "a", '{"allow": "info"}')
            await world.settled()
            assert logged(world, "a", kind) == dict.fromkeys(names, off)

    asyncio.run(asyncio.wait_for(main(), 60))


@pytest.mark.skipif(not HAS_TIERS, reason="OVN 23.03 has no tiers: $OVN_KUBERNETES_OVS may name newer programs")
def test_rows_of_a_cluster_network_policy(nb):
    """Protects administrators: a ClusterNetworkPolicy's own annotation says how it is logged, whatever namespaces say,
    with a severity for Pass too. One that can't be read is said by an event and in the condition, without its text, and
    changes nothing of what is enforced.
    """
    actions = ("Accept", "Deny", "Pass")
    ingress = [{"action": action, "from": [{"namespaces": {}}]} for action in actions]

    async def main():
        async with PolicyWorld(nb) as world:
            annotated(world, "a", BOTH)
            world.pod("a/web", 1, app="web")

            def put(text):
                metadata = {} if text is None else {"annotations": {"k8s.ovn.org/acl-logging": text}}
                spec = {"tier": "Admin", "priority": 3, "subject": {"namespaces": {}}, "ingress": ingress}
                world.put("clusternetworkpolicies", "", "p", metadata=metadata, spec=spec)

            def rows():
                found = [row for row in world.cluster.replica.rows["ACL"].values() if row.owner]
                mine = [row for row in found if row.owner.type == "ClusterNetworkPolicy"]
                return {row.columns["name"][-1]: as_set(row.columns["severity"]) for row in mine}

            put(None)
            await world.settled()
            assert rows() == {"0": (), "1": (), "2": ()}
            put('{"deny": "alert", "allow": "info", "pass": "debug"}')
            await world.settled()
            assert rows() == {"0": ("info",), "1": ("alert",), "2": ("debug",)}
            assert len(nb.rows("Meter")) == 1
            put('{"deny": "loud"}')
            await world.settled()
            assert rows() == {"0": (), "1": (), "2": ()}
            while not world.api.events:
                await asyncio.sleep(0.01)
            assert [(reason, name) for reason, name, _message in world.api.events] == [("ACLLoggingRefused", "p")]
            (condition,) = world.api.applied[-1][1]["status"]["conditions"]
            assert (condition["status"], condition["reason"]) == ("True", "Enforced")
            assert "it is not logged" in condition["message"] and "loud" not in condition["message"]

    asyncio.run(asyncio.wait_for(main(), 60))


@pytest.fixture
def in_namespace():
    """A network namespace for the test and all that it starts."""
    with network_namespace.namespace():
        yield


def test_a_packet_makes_a_line(nb, northd, in_namespace):
    """Protects whoever reads the log: ovn-controller on the pod's node writes a line for a packet that is denied, and
    one for a packet that a rule lets through, with the rule's name; of a flood, no more than the rate and its burst.
    """

    async def main():
        async with PolicyWorld(nb) as world:
            annotated(world, "a", BOTH)
            for key in ("a/server", "a/client", "a/other"):
                world.pod(key, 1, app=key.split("/")[1])
            world.policy("a/server", podSelector={"matchLabels": {"app": "server"}}, ingress=RULE)
            await world.settled()
            node = Node(northd)
            try:
                for key in ("a/server", "a/client", "a/other"):
                    node.plug(world, key)
                await asyncio.to_thread(northd.nbctl, "--wait=hv", "--timeout=60", "sync")
                server, client, other = node.udp("a/server", 7000), node.udp("a/client"), node.udp("a/other")
                log = node.controller.log

                def lines(name):
                    return [one for one in log.read_text().splitlines() if "acl_log" in one and f'name="{name}"' in one]

                address = (world.address("a/server"), 7000)
                client.sendto(b"x", address)
                assert server.recv(10) == b"x"
                other.sendto(b"x", address)
                wait_for(lambda: lines("NP:a:Ingress"), "the line of what is denied")
                wait_for(lambda: lines("NP:a:server:Ingress:0"), "the line of what is allowed")
                denied, allowed = lines("NP:a:Ingress")[0], lines("NP:a:server:Ingress:0")[0]
                assert "verdict=drop, severity=alert" in denied and "verdict=allow, severity=notice" in allowed
                assert f"nw_src={world.address('a/other')}" in denied
                started = time.monotonic()
                for _number in range(1000):
                    other.sendto(b"x", address)
                known = len(lines("NP:a:server:Ingress:0"))
                client.sendto(b"x", address)  # its line comes after those of the flood
                wait_for(lambda: len(lines("NP:a:server:Ingress:0")) > known, "the line after the flood")
                most = 20 * (time.monotonic() - started) + 40
                assert 1 < len(lines("NP:a:Ingress")) < most < 500
            finally:
                node.remove()

    asyncio.run(asyncio.wait_for(main(), 120))


def test_names_of_the_longest_objects(nb):
    """Protects policies with the longest names that Kubernetes takes: their rows are written, and names differ."""

    async def main():
        async with PolicyWorld(nb) as world:
            namespace, names = "n" * 63, [f"{'p' * 250}.{one}" for one in "ab"]
            annotated(world, namespace, BOTH)
            for name in names:
                world.policy(f"{namespace}/{name}", podSelector={}, ingress=[{}])
            await world.settled()
            found = logged(world, namespace)
            assert len(found) == 3 and all(len(one) <= 63 and one.startswith("NP:nnn") for one in found)
            assert not world.cluster.engine.failing, json.dumps(list(map(str, world.cluster.engine.failing)))

    asyncio.run(asyncio.wait_for(main(), 60))
