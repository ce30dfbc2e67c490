# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""The watcher's objects in this process, between a real Northbound database and objects that a test puts in.

There is no API server: a test's objects are those that its informers would have. With :class:`northd.Northd` behind the
database a test asks ovn-trace what becomes of a packet.

    async def main():
        world = PolicyWorld(nb)
        async with world:
            world.namespace("a", team="x")
            world.pod("a/web", 1, app="web")
            world.policy("a/deny", podSelector={})
            await world.settled()
"""

from __future__ import annotations

import asyncio
import json
import re

from database_server import PROGRAMS

from ansible_collections.ovn.kubernetes.plugins.module_utils._common.tasks import end
from ansible_collections.ovn.kubernetes.plugins.module_utils._kube.settings import Settings
from ansible_collections.ovn.kubernetes.plugins.module_utils._ovsdb.values import as_set
from ansible_collections.ovn.kubernetes.plugins.module_utils._policies.domain_names import Answer
from ansible_collections.ovn.kubernetes.plugins.module_utils._programs.cluster import Cluster

HAS_TIERS = "tier" in json.loads((PROGRAMS / "schema" / "ovn-nb.ovsschema").read_text())["tables"]["ACL"]["columns"]
SERVICES = ("10.96.0.0/16", "fd96::/108")


class Api:
    """An API server that takes everything, and keeps the events."""

    settings = Settings("http://127.0.0.1:1", service_subnets=SERVICES)
    server = "http://127.0.0.1:1"

    def __init__(self):
        self.events, self.applied = [], []
        self.statuses = {}
        self.patches = 0

    async def create(self, _path, body):
        """Take an object."""
        self.events.append((body["reason"], body["involvedObject"]["name"], body["message"]))

    async def patch(self, path, body):
        """Take a change."""
        if path.endswith("/status") and "status" in body:
            self.statuses[path.removesuffix("/status")] = body["status"]
            self.patches += 1

    async def apply(self, path, body, _manager):
        """Take the status of an object."""
        self.applied.append((path, body))


class PolicyWorld:
    """A watcher that acts, and its objects.

    :param southbound: where the Southbound database is; empty: it is not read.
    :param observe: called with what was measured, and its seconds.

    :ivar versions: how many changes of objects there were.
    """

    def __init__(self, nb, southbound="", observe=lambda what, seconds: None):
        self.nb, self.api = nb, Api()
        self._southbound, self._observe = southbound, observe
        self._tasks = []
        self._answers = {}
        self.versions = 0
        self.make_watcher()

    def make_watcher(self):
        """Make the watcher, which knows no objects."""
        self.cluster = Cluster(self.api, self.nb.remote, self._observe, southbound=self._southbound)
        self.cluster.domains.names._ask = self._ask

    async def _ask(self, name, version):
        return self._answers.get((name, version), Answer((), 30))

    async def __aenter__(self):
        replica = self.cluster.replica
        replica.want_lock(True)
        datapaths = [self.cluster.datapaths.run()] if self.cluster.datapaths else []
        work = (replica.run(), self.cluster.engine.run(), self.cluster.domains.names.run(), *datapaths)
        self._tasks = [asyncio.create_task(one) for one in work]
        await asyncio.wait_for(replica.ready.wait(), 20)
        while not replica.locked:
            await asyncio.sleep(0.01)
        self.begin()
        return self

    async def __aexit__(self, *_exception):
        await end(self._tasks)
        await self.cluster.events.close()
        await self.cluster.statuses.close()

    def begin(self):
        """Begin to act."""
        self.cluster.engine.start()
        self.cluster._begin()

    async def settled(self):
        """Wait until everything is written."""
        cluster, engine = self.cluster, self.cluster.engine
        while (
            len(engine)
            or engine.busy_since is not None
            or len(cluster.pods.annotator) + len(cluster.statuses)
            or not all(map(cluster.domains.names.is_known, cluster.domains.names.names()))
        ):
            await asyncio.sleep(0.002)

    def put(self, kind, namespace, name, **more):
        """Make or change an object."""
        self.versions += 1
        metadata = {"name": name, "uid": f"u-{namespace}-{name}", "resourceVersion": str(self.versions)}
        if namespace:
            metadata["namespace"] = namespace
        metadata.update(more.pop("metadata", {}))
        self.cluster.informers[kind]._put({"metadata": metadata, **more})

    def delete(self, kind, key):
        """Delete an object."""
        self.versions += 1
        namespace, _slash, name = key.rpartition("/")
        metadata = {"name": name, **({"namespace": namespace} if namespace else {})}
        self.cluster.informers[kind]._delete({"metadata": metadata})

    def namespace(self, name, **labels):
        """Make or change a namespace."""
        self.put("namespaces", "", name, metadata={"labels": labels})

    def pod(self, key, node, ports=(), phase="Running", uid=None, **labels):
        """Make or change a pod.

        :param node: number of its node.
        :param ports: (name, number), or (name, number, protocol).
        """
        namespace, name = key.split("/")
        named = [dict(zip(("name", "containerPort", "protocol"), one)) for one in ports]
        metadata = {"labels": labels, **({"uid": uid} if uid else {})}
        spec = {"nodeName": f"node{node}", "containers": [{"name": "c", "ports": named}]}
        self.put("pods", namespace, name, metadata=metadata, spec=spec, status={"phase": phase})

    def policy(self, key, **spec):
        """Make or change a network policy."""
        namespace, name = key.split("/")
        self.put("networkpolicies", namespace, name, spec=spec)

    def cluster_policy(self, name, tier="Admin", priority=0, subject=None, **spec):
        """Make or change a cluster network policy; without a subject it is for all pods."""
        subject = {"namespaces": {}} if subject is None else subject
        spec = {"tier": tier, "priority": priority, "subject": subject, **spec}
        self.put("clusternetworkpolicies", "", name, spec=spec)

    def node(self, number, *addresses, **labels):
        """Make or change the object of a node."""
        status = {"addresses": [{"type": "InternalIP", "address": one} for one in addresses]}
        self.put("nodes", "", f"node{number}", metadata={"labels": labels}, status=status)

    def firewall(self, key, *rules, **more):
        """Make or change an egress firewall."""
        namespace, name = key.split("/")
        self.put("egressfirewalls", namespace, name, spec={"egress": list(rules)}, **more)

    def status(self, kind, key):
        """The status that was written last of an object of k8s.ovn.org, if any."""
        namespace, _slash, name = key.rpartition("/")
        inside = f"namespaces/{namespace}/" if namespace else ""
        return self.api.statuses.get(f"/apis/k8s.ovn.org/v1/{inside}{kind}/{name}")

    def answer(self, name, *addresses, ttl=30):
        """Let name servers know a name."""
        for version in (4, 6):
            found = tuple(one for one in addresses if (":" in one) == (version == 6))
            self._answers[name, version] = Answer(found, ttl)

    def route(self, name, *hops, created="2026-01-01T00:00:00Z", dynamic=(), told=None, **selectors):
        """Make or change an AdminPolicyBasedExternalRoute.

        :param hops: addresses, or (address, ``bfdEnabled``).
        :param told: the status that it has.
        """
        static = [dict(zip(("ip", "bfdEnabled"), (one,) if isinstance(one, str) else one)) for one in hops]
        spec = {"from": selectors, "nextHops": {"static": static, "dynamic": list(dynamic)}}
        metadata = {"creationTimestamp": created}
        self.put("adminpolicybasedexternalroutes", "", name, metadata=metadata, spec=spec, status=told or {})

    def service(self, key, cluster_ip, port, *pods, target=None, outside=None, ranges=()):
        """Make a service with these pods as endpoints.

        :param outside: an address of a load balancer, which ``ranges`` may use.
        """
        namespace, name = key.split("/")
        ports = [{"name": "p", "port": port, "protocol": "TCP"}]
        spec = {"clusterIP": cluster_ip, "clusterIPs": [cluster_ip], "ports": ports, "type": "ClusterIP"}
        if outside:
            spec.update(type="LoadBalancer", loadBalancerSourceRanges=list(ranges))
        status = {"loadBalancer": {"ingress": [{"ip": outside}] if outside else []}}
        self.put("services", namespace, name, spec=spec, status=status)
        version = 6 if ":" in cluster_ip else 4
        addresses = [self.address(pod, version) for pod in pods]
        self.put(
            "endpointslices",
            namespace,
            f"{name}-{version}",
            metadata={"labels": {"kubernetes.io/service-name": name}},
            addressType=f"IPv{version}",
            ports=[{"name": "p", "port": target or port, "protocol": "TCP"}],
            endpoints=[{"addresses": [one], "conditions": {"ready": True}} for one in addresses],
        )

    # What is in the database.

    def port(self, key):
        """The port's row of a pod."""
        return self.cluster.replica.named("Logical_Switch_Port", key.replace("/", "_", 1))

    def address(self, key, version=4):
        """An address of a pod."""
        (line,) = as_set(self.port(key).columns["addresses"])
        return next(one for one in line.split()[1:] if (":" in one) == (version == 6))

    def mac(self, key):
        """The MAC of a pod."""
        (line,) = as_set(self.port(key).columns["addresses"])
        return line.split()[0]

    def sets(self):
        """Selector -> addresses of the sets."""
        found = {}
        for row in self.cluster.replica.rows["Address_Set"].values():
            if row.owner is not None and row.owner.type == "PolicyPeers":
                found.setdefault(row.external_id("k8s.ovn.org/selector"), set()).update(row.columns["addresses"])
        return found

    def groups(self):
        """(namespace, selector) -> names of the ports in the groups."""
        ports = self.cluster.replica.rows["Logical_Switch_Port"]
        return {
            (row.owner.name.split("/")[0], row.external_id("k8s.ovn.org/selector")): {
                ports[uuid].name for uuid in row.columns["ports"]
            }
            for row in self.cluster.replica.rows["Port_Group"].values()
            if row.owner is not None and row.owner.type == "PolicyPods"
        }

    def acls(self, kind="NetworkPolicy"):
        """(direction, action, priority, match) of the ACLs of a kind."""
        rows = self.cluster.replica.rows["ACL"].values()
        columns = ("direction", "action", "priority", "match")
        return sorted(
            tuple(row.columns[one] for one in columns) for row in rows if row.owner and row.owner.type == kind
        )


class Verdicts:
    """What ovn-trace says of packets.

    :param northd: behind the database of a world.
    """

    def __init__(self, world, northd):
        self.world, self.northd = world, northd

    def mac_of_router(self, node):
        """The MAC of the cluster's router at a node's switch."""
        return self.northd.nbctl("get", "Logical_Router_Port", f"rtos-node{node}", "mac").strip().strip('"')

    def from_pod(self, source, address, port=80, protocol="tcp", ct="new", reaches=None):
        """Whether the first packet of a connection from a pod gets to the port that has the address.

        :param reaches: a pod; None: the one with the address, or for others the gateway.
        """
        version = 6 if ":" in address else 4
        own, mac = self.world.address(source, version), self.world.mac(source)
        switch = self.world.cluster.pods._pods[source].node
        here = {
            self.world.address(key, version): key
            for key, pod in self.world.cluster.pods._pods.items()
            if pod.node == switch and self.world.port(key) is not None
        }
        target = self.world.mac(here[address]) if address in here else self.mac_of_router(switch.removeprefix("node"))
        text = self._trace(switch, source.replace("/", "_", 1), mac, target, version, own, address, port, protocol, ct)
        goal = reaches or next(
            (
                key
                for key in self.world.cluster.pods._pods
                if self.world.port(key) is not None and self.world.address(key, version) == address
            ),
            None,
        )
        return self._reaches(text, goal)

    def from_node(self, node, pod, version=4, port=80, source=None):
        """Whether the node's own packet gets to a pod."""
        own = source or (f"192.168.{node}.2" if version == 4 else f"fd10:128:0:{node:x}::2")
        mac = f"0a:58:c0:a8:{node:02x}:02"
        target = self.world.mac(pod)
        address = self.world.address(pod, version)
        if self.world.cluster.pods._pods[pod].node != f"node{node}":
            target = self.mac_of_router(node)
        text = self._trace(f"node{node}", f"k8s-node{node}", mac, target, version, own, address, port, "tcp", "new")
        return self._reaches(text, pod)

    def from_outside(self, pod, source, port=80, version=4, protocol="tcp"):
        """Whether a packet from the gateway's side gets to a pod."""
        address = self.world.address(pod, version)
        target = self.northd.nbctl("get", "Logical_Router_Port", "rtoj-ovn_cluster_router", "mac").strip().strip('"')
        mac = self.northd.nbctl("get", "Logical_Router_Port", "rtoj-GR_node1", "mac").strip().strip('"')
        text = self._trace("join", "jtor-GR_node1", mac, target, version, source, address, port, protocol, "new")
        return self._reaches(text, pod)

    def _trace(self, switch, inport, mac, target, version, source, address, port, protocol, ct):
        ports = (
            f" && {protocol}.src == 40000 && {protocol}.dst == {port}"
            if protocol != "icmp"
            else f" && icmp{version}.type == {8 if version == 4 else 128}"
        )
        packet = (
            f'inport == "{inport}" && eth.src == {mac} && eth.dst == {target} && ip.ttl == 64 && '
            f"ip{version}.src == {source} && ip{version}.dst == {address}{ports}"
        )
        states = [f"--ct={ct}"] * 12
        database = f"--db={self.northd.southbound.remote}"
        return self.northd.run("ovn-trace", database, "--no-leader-only", *states, switch, packet)

    @staticmethod
    def _reaches(text, pod):
        if pod is None:
            return bool(re.search(r'output to "jtor-GR_', text))
        return f'output to "{pod.replace("/", "_", 1)}"' in text
