# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Namespaces with network policies that come, change and go, pods of another node in them, and policies for the pods of
the churn's own namespace.
"""

from __future__ import annotations

import itertools

NODE = "node2"  # nobody is behind it: its pods have ports, and no interfaces
LIVING = 4  # namespaces of one thread at the same time
TEAMS, APPS, PORTS = ("red", "green", "blue"), ("web", "db", "cache"), ("http", "dns")
SHARED = "ns"  # the namespace of the churn's pods, which have an app too
POLICIES = "/apis/networking.k8s.io/v1/namespaces/{}/networkpolicies"


class PolicyLives:
    """The namespaces of one thread, and its policies in the shared one."""

    def __init__(self, overlay, chance, number, churn, addresses):
        self._api = overlay.kubernetes.client()
        self._chance, self._churn = chance, churn
        self._namespaces = (f"policies-{number}-{count}" for count in itertools.count())
        self._names = (f"policy-{number}-{count}" for count in itertools.count())
        self._living = {}  # namespace -> its pods, and its policies as (namespace, name)

    def turn(self):
        """A namespace comes with pods and policies, something of another one changes; when there are enough, one
        goes.
        """
        self._come(next(self._namespaces))
        for _change in range(2):
            self._change(self._chance.choice(list(self._living)))
        if len(self._living) > LIVING:
            self._go(self._chance.choice(list(self._living)))

    def end(self):
        """All of them go."""
        for namespace in list(self._living):
            self._go(namespace)

    def _come(self, namespace):
        self._api.create("/api/v1/namespaces", {"metadata": {"name": namespace, "labels": self._labels(TEAMS)}})
        pods, policies = self._living.setdefault(namespace, ([], []))
        what = [lambda: pods.append(self._pod(namespace))] * 2
        what += [lambda: policies.append(self._policy(namespace))] * 2 + [lambda: policies.append(self._policy(SHARED))]
        self._chance.shuffle(what)
        for make in what:
            make()
        self._churn.done["namespaces"] += 1

    def _go(self, namespace):
        """Its contents go in any order, as the controller of namespaces lets them, and then it goes itself."""
        pods, policies = self._living.pop(namespace)
        paths = [f"/api/v1/namespaces/{namespace}/pods/{name}" for name in pods]
        paths += [f"{POLICIES.format(where)}/{name}" for where, name in policies]
        self._chance.shuffle(paths)
        for path in paths:
            self._api.delete(path)
        self._api.delete(f"/api/v1/namespaces/{namespace}")
        nothing = {"metadata": {"name": namespace}, "spec": {"finalizers": []}}
        self._api.request("PUT", f"/api/v1/namespaces/{namespace}/finalize", nothing)

    def _change(self, namespace):
        """Labels of the namespace or of a pod, or a policy as a whole."""
        pods, policies = self._living[namespace]
        what = self._chance.randrange(3)
        if what == 0:
            self._api.patch(f"/api/v1/namespaces/{namespace}", {"metadata": {"labels": self._labels(TEAMS)}})
        elif what == 1:
            path = f"/api/v1/namespaces/{namespace}/pods/{self._chance.choice(pods)}"
            self._api.patch(path, {"metadata": {"labels": self._labels(APPS)}})
        else:
            where, name = self._chance.choice(policies)
            self._api.patch(f"{POLICIES.format(where)}/{name}", {"spec": self._spec()})
        self._churn.done["changes of policies and labels"] += 1

    def _labels(self, values):
        return {"app" if values is APPS else "team": self._chance.choice(values)}

    def _pod(self, namespace):
        name = next(self._names).replace("policy", "pod")
        number = self._chance.randrange(8000, 8004)
        ports = [{"name": one, "containerPort": number, "protocol": "TCP"} for one in PORTS]
        body = {
            "metadata": {"name": name, "labels": self._labels(APPS)},
            "spec": {"nodeName": NODE, "containers": [{"name": "main", "image": "agnhost", "ports": ports}]},
        }
        self._api.create(f"/api/v1/namespaces/{namespace}/pods", body)
        self._churn.done["pods of policies"] += 1
        return name

    def _policy(self, namespace):
        name = next(self._names)
        self._api.create(POLICIES.format(namespace), {"metadata": {"name": name}, "spec": self._spec()})
        self._churn.done["policies"] += 1
        return namespace, name

    def _spec(self):
        chance = self._chance
        types = chance.choice([["Ingress"], ["Egress"], ["Ingress", "Egress"]])
        rules = {"Ingress": ("ingress", "from"), "Egress": ("egress", "to")}
        spec = {"podSelector": self._selector("app", APPS), "policyTypes": types, "ingress": None, "egress": None}
        for one in types:
            field, peers = rules[one]
            spec[field] = [self._rule(peers) for _rule in range(chance.randrange(3))]
        return spec

    def _rule(self, field):
        chance = self._chance
        peers = [self._peer() for _peer in range(chance.randrange(3))]
        port = chance.choice([None, {"port": chance.randrange(1, 9000)}, {"port": chance.choice(PORTS)}])
        return {field: peers, "ports": [port] if port else []}

    def _peer(self):
        block = {"cidr": f"10.{self._chance.randrange(200)}.0.0/16", "except": []}
        return self._chance.choice(
            [
                {"podSelector": self._selector("app", APPS)},
                {"namespaceSelector": self._selector("team", TEAMS)},
                {"namespaceSelector": {}, "podSelector": self._selector("app", APPS)},
                {"ipBlock": block},
            ]
        )

    def _selector(self, key, values):
        return self._chance.choice(
            [
                {},
                {"matchLabels": {key: self._chance.choice(values)}},
                {"matchExpressions": [{"key": key, "operator": "NotIn", "values": self._chance.sample(values, 2)}]},
            ]
        )
