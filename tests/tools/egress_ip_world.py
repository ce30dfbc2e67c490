# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""EgressIP objects in a policy world, the granter of their leases, and holders that are only messages."""

from __future__ import annotations

import asyncio
import time

from policy_world import PolicyWorld

from ansible_collections.ovn.kubernetes.plugins.module_utils._common.tasks import end
from ansible_collections.ovn.kubernetes.plugins.module_utils._egress_ip import lease, wire
from ansible_collections.ovn.kubernetes.plugins.module_utils._egress_ip.lease import Holder
from ansible_collections.ovn.kubernetes.plugins.module_utils._ovsdb.access import Access
from ansible_collections.ovn.kubernetes.plugins.module_utils._ovsdb.values import as_set
from ansible_collections.ovn.kubernetes.plugins.module_utils._programs.egress_leases import LeaseServer


class Node(asyncio.DatagramProtocol):
    """A holder on no bridge: it asks, and believes that its flows are as desired."""

    def __init__(self, world, number):
        self.world, self.number, self.holder = world, number, Holder(f"node{number}", number)
        self.is_alive, self.guards, self.history = True, True, []

    async def run(self):
        """Ask for ever."""
        loop = asyncio.get_running_loop()
        self.transport, _protocol = await loop.create_datagram_endpoint(lambda: self, ("127.0.0.1", 0))
        try:
            while True:
                server = self.world.server
                if self.is_alive and server._transport is not None and server._secret:
                    request = self.holder.ask(time.monotonic())
                    self.transport.sendto(
                        wire.pack_request(request, server._secret), server._transport.get_extra_info("sockname")
                    )
                await asyncio.sleep(lease.ASK)
        finally:
            self.transport.close()

    def datagram_received(self, data, _address):
        """Take in an answer."""
        answer = wire.parse_answer(data, self.world.server._secret)
        if self.is_alive and answer is not None:
            self.holder.take_in(answer, time.monotonic())
            self.holder.guards(self.holder.offered if self.guards else ())

    def holds(self):
        """The addresses that it answers for now."""
        return sorted(self.holder.allowed(time.monotonic()))


def play(nb, scene):
    """Play a scene in a world with three nodes that may hold addresses, and three pods."""

    async def main():
        world = EgressIPWorld(nb)
        async with world:
            world.namespace("a", team="x")
            world.namespace("b", team="y")
            world.pod("a/web", 1, app="web")
            world.pod("a/db", 2, app="db")
            world.pod("b/web", 2, app="web")
            world.label(1, 2, 3)
            await scene(world)

    asyncio.run(main())


def trace(northd, world, key, destination):
    """What ovn-trace says of a packet of a pod to the outside."""
    port = world.port(key)
    mac, *ips = (
        port.columns["addresses"][0].split()
        if isinstance(port.columns["addresses"], tuple)
        else (port.columns["addresses"].split())
    )
    version = 6 if ":" in destination else 4
    source = next(ip for ip in ips if (":" in ip) == (version == 6))
    node = port.columns["options"]["requested-chassis"][3:]
    router = northd.nbctl("get", "Logical_Router_Port", f"rtos-node{node}", "mac").strip().strip('"')
    return northd.trace(
        f"node{node}",
        f'inport == "{key.replace("/", "_", 1)}" && eth.src == {mac} && eth.dst == {router} && '
        f"ip{version}.src == {source} && ip{version}.dst == {destination} && ip.ttl == 64 && "
        "tcp && tcp.src == 40000 && tcp.dst == 443",
    )


class EgressIPWorld(PolicyWorld):
    """The world: a watcher, a granter, and nodes."""

    def __init__(self, nb, nodes=(1, 2, 3)):
        super().__init__(nb)
        self.server = LeaseServer(Access(nb.remote, None), "127.0.0.1", 0)
        self.nodes = {number: Node(self, number) for number in nodes}
        self._work = []

    async def __aenter__(self):
        await super().__aenter__()
        self._work = [asyncio.create_task(one.run()) for one in (self.server, *self.nodes.values())]
        return self

    async def __aexit__(self, *exception):
        await end(self._work)
        await super().__aexit__(*exception)

    async def no_granter(self):
        """The granter ends: no master acts."""
        await end(self._work[:1])

    async def new_granter(self):
        """Another granter in its place."""
        await self.no_granter()
        self.server = LeaseServer(Access(self.nb.remote, None), "127.0.0.1", 0)
        self._work[0] = asyncio.create_task(self.server.run())

    async def restart_watcher(self, first=lambda world: None, is_forbidden=False):
        """Another watcher in place of this one. It knows the namespaces, nodes and pods; what else it is to know is for
        the test to put in.

        :param first: called with the world before it begins.
        :param is_forbidden: its account may not read EgressIPs.
        """
        former = self.cluster
        await PolicyWorld.__aexit__(self)
        self.make_watcher()
        kinds = {
            "namespaces": self.cluster._namespace_changed,
            "nodes": self.cluster._node_changed,
            "pods": self.cluster._pod_changed,
        }
        for kind, changed in kinds.items():
            self.cluster.informers[kind].store.update(former.informers[kind].store)
            for key, one in former.informers[kind].store.items():
                changed(key, None, one)
        first(self)
        self.cluster.informers["egressips"].is_forbidden = is_forbidden
        await PolicyWorld.__aenter__(self)

    async def until(self, condition, what, patience=20.0):
        """Wait for a condition; how long it took, in seconds."""
        began = time.monotonic()
        while not condition():
            assert time.monotonic() - began < patience, f"waited for {what}: {self.told()}"
            await asyncio.sleep(0.01)
        return time.monotonic() - began

    def told(self):
        """What a failure shows."""
        decided = self.server.granting.granter and self.server.granting.granter.decided
        return {
            "decided": decided,
            "assigned": self.server.granting._assigned,
            "held": self.held(),
            "events": self.api.events[-3:],
        }

    def label(self, *numbers):
        """Let these nodes hold addresses, and no others."""
        for number in self.nodes:
            labels = {"k8s.ovn.org/egress-assignable": ""} if number in numbers else {}
            self.put("nodes", "", f"node{number}", metadata={"labels": labels}, status={"addresses": []})

    def egress_ip(self, name, addresses, namespaces=None, pods=None, **metadata):
        """Make or change an EgressIP."""
        spec = {"egressIPs": addresses, "namespaceSelector": {"matchLabels": namespaces or {}}}
        if pods is not None:
            spec["podSelector"] = {"matchLabels": pods}
        self.put("egressips", "", name, spec=spec, metadata=metadata)

    def held(self):
        """Address -> number of the node that answers for it; none has two."""
        found = {}
        for number, node in self.nodes.items():
            for address in node.holds():
                assert address not in found, f"{address}: node {number} and node {found[address]}"
                found[address] = number
        return found

    def addresses(self, key):
        """The addresses of a pod."""
        return [word for line in as_set(self.port(key).columns["addresses"]) for word in line.split()[1:]]

    def digest(self, name="one"):
        """The digest of the set of an object's pods."""
        return self.server.granting._digest(name)

    def rows(self, table):
        """Our rows of a table of the granter's."""
        kinds = ("EgressIPRoutes", "EgressIPPod")
        return [
            row for row in self.nb.rows(table) if dict(row["external_ids"][1]).get("k8s.ovn.org/owner-type") in kinds
        ]

    def ways(self):
        """The policies of the cluster router that lead pods out."""
        return [row for row in self.rows("Logical_Router_Policy") if row["priority"] == 105 and "rtoj-" in row["match"]]

    def nat(self):
        """(address, router's node, logical address) of each source NAT row of EgressIP objects."""
        rows = {row["_uuid"][1]: row for row in self.rows("NAT")}
        found = []
        for router in self.nb.rows("Logical_Router"):
            for uuid in references(router["nat"]):
                if uuid in rows:
                    found.append((rows[uuid]["external_ip"], router["name"][3:], rows[uuid]["logical_ip"]))
        return sorted(found)


def references(value):
    """The UUIDs in a column."""
    return [one[1] for one in (value[1] if value and value[0] == "set" else [value])]
