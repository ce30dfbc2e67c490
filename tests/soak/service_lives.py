# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Services of all kinds, and their endpoint slices."""

from __future__ import annotations

import itertools

LIVING = 10  # services of one thread at the same time
SERVICES = "/api/v1/namespaces/ns/services"
SLICES = "/apis/discovery.k8s.io/v1/namespaces/ns/endpointslices"


class ServiceLives:
    """The services of one thread.

    :param addresses: name -> addresses of all pods that live.
    """

    def __init__(self, overlay, chance, number, churn, addresses):
        self._api = overlay.kubernetes.client()
        self._chance, self._churn, self._addresses, self._number = chance, churn, addresses, number
        self._names = (f"service-{number}-{count}" for count in itertools.count())
        self._living = []

    def turn(self):
        """A service comes, two change, and when there are enough, one goes."""
        name = next(self._names)
        self._api.create(SERVICES, {"metadata": {"name": name}, "spec": self._spec()})
        for family in ("IPv4", "IPv6"):
            self._api.create(SLICES, self._slice(name, family))
        self._living.append(name)
        self._churn.done["services"] += 1
        for changed in self._chance.sample(self._living, min(2, len(self._living))):
            self._change(changed)
        if len(self._living) > LIVING:
            self._delete(self._living.pop(self._chance.randrange(len(self._living))))

    def end(self):
        """All services go."""
        while self._living:
            self._delete(self._living.pop())

    def _spec(self):
        chance = self._chance
        kind = chance.choice(["ClusterIP", "ClusterIP", "NodePort", "LoadBalancer"])
        count = chance.choice([1, 1, 2, 5])
        spec = {
            "type": kind,
            "ipFamilyPolicy": "PreferDualStack",
            "ports": [
                {"name": f"p{number}", "port": 80 + number, "protocol": chance.choice(["TCP", "TCP", "UDP"])}
                for number in range(count)
            ],
            "sessionAffinity": chance.choice(["None", "None", "ClientIP"]),
        }
        if kind != "ClusterIP":
            spec["externalTrafficPolicy"] = chance.choice(["Cluster", "Local"])
        if chance.random() < 0.2:
            spec["externalIPs"] = [f"203.0.113.{self._number * 20 + len(self._living)}"]
        return spec

    def _slice(self, name, family):
        some = list(self._addresses.values())
        chosen = self._chance.sample(some, min(len(some), self._chance.randrange(5)))
        return {
            "metadata": {
                "name": f"{name}-{family.lower()}",
                "labels": {"kubernetes.io/service-name": name},
            },
            "addressType": family,
            "ports": [{"name": f"p{number}", "port": 8080, "protocol": "TCP"} for number in range(2)],
            "endpoints": [
                {"addresses": [addresses[family == "IPv6"]], "nodeName": "node1", "conditions": {"ready": True}}
                for addresses in chosen
            ],
        }

    def _change(self, name):
        """Its endpoints change, its ports, or the address that a balancer gave it."""
        what = self._chance.randrange(3)
        if what == 0:
            for family in ("IPv4", "IPv6"):
                changed = self._slice(name, family)
                self._api.patch(f"{SLICES}/{name}-{family.lower()}", {"endpoints": changed["endpoints"]})
        elif what == 1:
            ports = [{"name": "p0", "port": self._chance.randrange(1000, 2000), "protocol": "TCP"}]
            self._api.patch(f"{SERVICES}/{name}", {"spec": {"ports": ports}})
        else:
            spec = self._api.get(f"{SERVICES}/{name}")["spec"]
            if spec["type"] == "LoadBalancer":
                ingress = [{"ip": f"198.51.100.{self._number * 20 + self._chance.randrange(20)}"}]
                self._api.patch(f"{SERVICES}/{name}/status", {"status": {"loadBalancer": {"ingress": ingress}}})
        self._churn.done["changes of services"] += 1

    def _delete(self, name):
        self._api.delete(f"{SERVICES}/{name}")
        for family in ("IPv4", "IPv6"):
            self._api.delete(f"{SLICES}/{name}-{family.lower()}")
