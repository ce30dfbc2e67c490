# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Objects that somebody makes to do harm, all of them from a seed.

Some do known harm in full size; all of them also get a few fields of any kind with values of any kind. The API server
refuses many of those, so what it refuses is made again with less.
"""

from __future__ import annotations

import json
import random
from http import HTTPStatus
from typing import NamedTuple

from hostile_values import ANNOTATIONS, REQUEST, Values
from kubernetes_server import Refused
from openapi_fields import Fields, merged

ATTEMPTS = 3
POD_ANNOTATIONS = (
    "ovn",
    "k8s.ovn.org/pod-networks",
    "ovn.kubernetes/pod-uid",
    "kubernetes.io/egress-bandwidth",
    "kubernetes.io/ingress-bandwidth",
    "kubernetes.io/config.mirror",
)


class Made(NamedTuple):
    """An object that the API server took. :ivar path: its own path."""

    kind: str
    path: str


class Hostile:
    """Makes objects in a namespace, and nodes.

    :ivar refused: how often the API server refused an object as a whole.
    """

    def __init__(self, api, seed, namespace):
        self.chance = random.Random(seed)
        self.refused = 0
        self._api, self._namespace = api, namespace
        self._values = Values(self.chance)
        self._fields = Fields(api, self._values)
        self._count = 0
        self._collections = {
            "Pod": f"/api/v1/namespaces/{namespace}/pods",
            "Service": f"/api/v1/namespaces/{namespace}/services",
            "EndpointSlice": f"/apis/discovery.k8s.io/v1/namespaces/{namespace}/endpointslices",
            "Node": "/api/v1/nodes",
            "Namespace": "/api/v1/namespaces",
        }
        self._services = []  # names

    def make(self):
        """Make an object of any kind; None when the API server took none of it."""
        kind = self.chance.choice(["Pod"] * 5 + ["Service"] * 4 + ["EndpointSlice"] * 4 + ["Node"] * 2)
        shape = self.chance.choice(self._shapes(kind))
        return self.make_of(kind, shape())

    def _shapes(self, kind):
        return {
            "Pod": (
                self._pod,
                self._claiming_pod,
                self._pod_of_many_addresses,
                self._large_pod,
                self._pod_of_many_ports,
            ),
            "Service": (self._service, self._taking_service, self._wide_service, self._large_service),
            "EndpointSlice": (self._slice, self._slice, self._wide_slice),
            "Node": (self._node,),
            "Namespace": (self._namespace_of_users,),
        }[kind]

    def every(self):
        """One object of each shape, without further fields."""
        for kind in self._collections:
            for shape in dict.fromkeys(self._shapes(kind)):
                made = self._create(kind, shape())
                if made:
                    yield made

    def widest(self, slices):
        """A service of many ports with so many slices, each of which is as wide as a slice may be."""
        body = self._wide_service()
        body["spec"]["internalTrafficPolicy"] = "Cluster"
        for port in body["spec"]["ports"]:
            port["protocol"] = "TCP"
        service = self._create("Service", body)
        for _number in range(slices):
            self._create("EndpointSlice", self._wide_slice(body["metadata"]["name"]))
        return service

    def make_of(self, kind, body):
        """Make an object with a few more fields."""
        for attempt in range(ATTEMPTS):
            more = body
            for _field in range(ATTEMPTS - 1 - attempt):
                more = merged(more, self._fields.part(kind, self.chance.choice(["spec", "metadata"])))
            more = merged(more, {"metadata": {"name": body["metadata"]["name"]}})
            made = self._create(kind, more)
            if made:
                return made
        return None

    def _create(self, kind, body):
        path = self._collections[kind]
        body["metadata"].pop("namespace", None)
        body["metadata"].pop("generateName", None)
        status = body.pop("status", None)
        try:
            self._api.create(path, body)
        except Refused:
            self.refused += 1
            return None
        made = Made(kind, f"{path}/{body['metadata']['name']}")
        for name, value in (status or {}).items():  # one refused field takes no other with it
            self._change(f"{made.path}/status", {"status": {name: value}})
        if kind == "Service":
            self._services.append(body["metadata"]["name"])
        return made

    def change(self, made):
        """Change an object as its owner, or its kubelet, may."""
        kind = made.kind
        what = self.chance.choice(["metadata", "spec", "status", "annotations"])
        if what == "annotations":
            body = {"metadata": {"annotations": self._annotations(5000)}}
        else:
            body = self._fields.part(kind, what)
            body.get("metadata", {}).pop("name", None)
        return self._change(f"{made.path}/status" if what == "status" else made.path, body)

    def delete(self, made):
        """Delete an object, also one with finalizers; :raises AssertionError: it stays."""
        # An object near the largest size can't get one more entry of managedFields.
        free = {"metadata": {"finalizers": None, "managedFields": [{}]}}
        reason = "it has finalizers"
        for _attempt in range(ATTEMPTS):
            for request in (
                lambda: self._api.patch(made.path, free),
                lambda: self._api.delete(made.path),
                lambda: self._api.get(made.path),
            ):
                try:
                    request()
                except Refused as exc:
                    if exc.status == HTTPStatus.NOT_FOUND:
                        return
                    reason = str(exc)
        raise AssertionError(f"{made.path} can't be deleted: {reason}")

    def _change(self, path, body):
        try:
            self._api.patch(path, body)
        except Refused:
            self.refused += 1
            return False
        return True

    def _name(self, kind):
        self._count += 1
        longest = {"Service": 63, "Namespace": 63}.get(kind, 253)
        if self.chance.random() < 0.1:
            return f"h{self._count}-" + "a" * (longest - len(str(self._count)) - 2)
        return f"h{self._count}-{self._values.name(8)}"

    def _metadata(self, kind, annotations=None, **more):
        return {"name": self._name(kind), "annotations": annotations or {}, **more}

    def _annotations(self, size):
        """Annotations of ours and of others: at most so many bytes."""
        chance, made = self.chance, {}
        for name in chance.sample(POD_ANNOTATIONS, chance.randrange(1, len(POD_ANNOTATIONS))):
            text = self._values.quantity() if name.endswith("bandwidth") else self._values.network()
            made[name] = text if sum(map(len, made.values())) + len(text) * 4 < size else self._values.text()
        made["example.com/any"] = self._values.text()
        return made

    # Pods.

    def _pod(self, **metadata):
        node = self.chance.choice(["node1", "node2", "node1", "nowhere", "Node1".lower(), "k8s-node1"])
        return {
            "metadata": self._metadata("Pod", self._annotations(100_000), **metadata),
            "spec": {"nodeName": node, "containers": [{"name": "main", "image": self._values.text().strip() or "i"}]},
        }

    def _claiming_pod(self):
        """It says that it has every address there is, as if the watcher had written it."""
        every = [f"192.168.{node}.{last}/24" for node in (1, 2) for last in range(3, 255)]
        fields = f'{{"ip_addresses": {json.dumps(every)}, "mac_address": "0a:58:c0:a8:01:03"}}'
        body = self._pod()
        body["spec"]["nodeName"] = self.chance.choice(["node1", "node2", "nowhere"])
        body["metadata"]["annotations"] = {"k8s.ovn.org/pod-networks": f'{{"default": {fields}}}', "ovn": fields}
        return body

    def _large_pod(self):
        """As large as the API server takes: annotations that can be read, or can't, and the whole."""
        body = self._pod(labels={f"l{number}": "v" * 63 for number in range(200)})
        body["spec"]["nodeName"] = self.chance.choice(["node1", "node2"])
        name = self.chance.choice(POD_ANNOTATIONS)
        body["metadata"]["annotations"] = {name: self._values.long(ANNOTATIONS - len(name) - 10)}
        size = self.chance.choice([0, REQUEST - 2 * ANNOTATIONS])
        body["spec"]["containers"][0]["env"] = [
            {"name": f"V{number}", "value": "x" * 10_000} for number in range(size // 10_000)
        ]
        return body

    def _pod_of_many_addresses(self):
        """Its annotations have as many addresses as there is room for."""
        body = self._pod()
        body["spec"]["nodeName"] = self.chance.choice(["node1", "node2"])
        every = json.dumps([f"10.{n >> 16}.{n >> 8 & 255}.{n & 255}/8" for n in range(13_000)])
        fields = f'{{"ip_addresses": {every}, "mac_address": "0a:58:c0:a8:01:03", "gateway_ip": "192.168.1.1"}}'
        annotation = self.chance.choice([{"ovn": fields}, {"k8s.ovn.org/pod-networks": f'{{"default": {fields}}}'}])
        body["metadata"]["annotations"] = annotation
        return body

    def _pod_of_many_ports(self):
        ports = [
            {
                "containerPort": number,
                "hostPort": number,
                "hostIP": self._values.address(),
                "protocol": self.chance.choice(["TCP", "UDP", "SCTP"]),
            }
            for number in range(1, 500)
        ]
        body = self._pod(ownerReferences=[self._owner(number) for number in range(300)])
        body["spec"]["containers"][0]["ports"] = ports
        body["status"] = {
            "phase": self.chance.choice(["Running", "Pending", "Succeeded", "Unknown"]),
            "podIP": self._values.valid_address(),
            "message": self._values.text(),
        }
        return body

    def _owner(self, number):
        return {"apiVersion": "v1", "kind": self._values.text() or "DaemonSet", "name": "x", "uid": f"u{number}"}

    # Services and their slices.

    def _service(self):
        chance = self.chance
        return {
            "metadata": self._metadata(
                "Service", {"ovn.kubernetes/session-affinity": chance.choice(["timeout", self._values.text()])}
            ),
            "spec": {
                "type": chance.choice(["ClusterIP", "NodePort", "LoadBalancer"]),
                "ipFamilyPolicy": chance.choice(["SingleStack", "PreferDualStack"]),
                "ports": [
                    {"name": f"p{number}", "port": chance.choice([22, 53, 80, 6443, 10250]) + number, "protocol": kind}
                    for number, kind in enumerate(("TCP", "UDP", "SCTP"))
                ],
                "sessionAffinity": chance.choice(["None", "ClientIP"]),
                "internalTrafficPolicy": chance.choice(["Cluster", "Local"]),
            },
        }

    def _taking_service(self):
        """It wants the addresses of others."""
        body = self._service()
        body["spec"]["type"] = self.chance.choice(["ClusterIP", "LoadBalancer"])
        body["spec"]["externalIPs"] = [
            self._values.valid_address() for _number in range(self.chance.choice([1, 5, 30]))
        ]
        ingress = [{"ip": self._values.valid_address()} for _number in range(self.chance.choice([1, 5, 500]))]
        body["status"] = {"loadBalancer": {"ingress": ingress}}
        return body

    def _wide_service(self):
        body = self._service()
        ports = [
            {"name": f"p{number}", "port": 1000 + number, "protocol": self.chance.choice(["TCP", "UDP"])}
            for number in range(300)
        ]
        body["spec"] = {**body["spec"], "type": "ClusterIP", "ports": ports, "externalTrafficPolicy": None}
        return body

    def _large_service(self):
        body = self._service()
        body["metadata"]["annotations"]["ovn.kubernetes/session-affinity"] = self._values.long(250_000)
        body["metadata"]["labels"] = {f"l{number}": "v" * 63 for number in range(1000)}
        body["spec"]["selector"] = {f"l{number}": "v" * 63 for number in range(5000)}
        return body

    def _slice(self, endpoints=20):
        chance = self.chance
        kind = chance.choice(["IPv4", "IPv4", "IPv6", "FQDN"])
        same = chance.random() < 0.3
        service = chance.choice([*self._services, "good", "kubernetes", "", "a" * 63])
        return {
            "metadata": self._metadata("EndpointSlice", labels={"kubernetes.io/service-name": service}),
            "addressType": kind,
            "ports": [
                {"name": f"p{number}", "port": 8000 + number, "protocol": chance.choice(["TCP", "UDP", "SCTP"])}
                for number in range(3)
            ],
            "endpoints": [
                {
                    "addresses": [self._endpoint(kind, 0 if same else number)],
                    "nodeName": chance.choice(["node1", "node2", "nowhere"]),
                    "conditions": {
                        name: chance.choice([True, False, None]) for name in ("ready", "serving", "terminating")
                    },
                }
                for number in range(endpoints)
            ],
        }

    def _endpoint(self, kind, number):
        if kind == "FQDN":
            return f"host{number}.example"
        if number < 3:
            return self._values.valid_address(6 if kind == "IPv6" else 4)
        return f"fd10:128:0:1::{number:x}" if kind == "IPv6" else f"192.168.{number >> 8}.{number & 255}"

    def _wide_slice(self, service=None):
        """As many endpoints and ports as a slice may have; other addresses in each."""
        self._count += 1
        body = self._slice(1000)
        if service:
            body["metadata"]["labels"]["kubernetes.io/service-name"] = service
            body["addressType"] = "IPv4"
            for endpoint in body["endpoints"]:
                endpoint["conditions"] = {"ready": True}
        body["ports"] = [{"name": f"p{number}", "port": 1000 + number, "protocol": "TCP"} for number in range(100)]
        for number, endpoint in enumerate(body["endpoints"] if body["addressType"] == "IPv4" else ()):
            endpoint["addresses"] = [f"10.{self._count & 255}.{number >> 8}.{number & 255}"]
        return body

    # Nodes and namespaces.

    def _node(self):
        body = {
            "metadata": self._metadata("Node", self._annotations(100_000)),
            "spec": {},
            "status": {
                "addresses": [
                    {
                        "type": self.chance.choice(["InternalIP", "InternalIP", "Hostname"]),
                        "address": self._values.address(),
                    }
                    for _number in range(self.chance.choice([1, 3, 1000]))
                ],
                "capacity": {"cpu": self._values.quantity(), "example.com/any": self._values.quantity()},
            },
        }
        if self.chance.random() < 0.3:
            del body["status"]["capacity"]
        return body

    def _namespace_of_users(self):
        return {"metadata": self._metadata("Namespace", {"example.com/any": self._values.long(250_000)})}
