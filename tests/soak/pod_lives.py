# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Pods of one node, as its kubelet and its runtime let them live and die."""

from __future__ import annotations

import itertools
import pathlib
import time
from typing import NamedTuple

from node_server import Netns, answer

LIVING = 8  # pods of one thread at the same time
PATIENCE = 240  # seconds; the kubelet gives a sandbox twice its --runtime-request-timeout, which is 2 minutes
PODS = "/api/v1/namespaces/ns/pods"


class LivingPod(NamedTuple):
    """A pod that has its interface."""

    name: str
    uid: str
    container: str
    netns: Netns
    addresses: tuple[str, ...]


class PodLives:
    """The pods of one thread.

    :param addresses: name -> addresses of all pods that live; they are added there.
    """

    def __init__(self, overlay, chance, number, churn, addresses):
        self._host, self._api = overlay.host, overlay.kubernetes.client()
        self._chance, self._churn, self._addresses = chance, churn, addresses
        self._folder = pathlib.Path(overlay.folder)
        self._names = (f"pod-{number}-{count}" for count in itertools.count())
        self._containers = (f"{number}c{count:x}" for count in itertools.count())
        self._living = []

    def turn(self):
        """A pod comes; when there are enough, one goes, in one of many ways."""
        self._living.append(self.add(next(self._names)))
        if len(self._living) > LIVING:
            pod = self._living.pop(self._chance.randrange(len(self._living)))
            self._chance.choice(
                (self._orderly, self._orderly, self._forced, self._lost, self._finished, self._restarted, self._renewed)
            )(pod)

    def end(self):
        """All pods go."""
        while self._living:
            self._orderly(self._living.pop())

    def add(self, name, netns=None):
        """A pod with its interface."""
        began = time.monotonic()
        uid = self._api.create(PODS, self._object(name))["metadata"]["uid"]
        pod = self._attach(name, uid)
        self._churn.seconds.append(time.monotonic() - began)
        self._churn.done["pods"] += 1
        return pod

    def _object(self, name):
        """A pod of node1; some have a limit of their traffic, some a port of the host."""
        container = {"name": "main", "image": "agnhost"}
        if self._chance.random() < 0.2:
            container["ports"] = [{"containerPort": 8080, "hostPort": self._chance.randrange(20_000, 21_000)}]
        annotations = {"kubernetes.io/egress-bandwidth": "10M"} if self._chance.random() < 0.2 else {}
        return {
            "metadata": {"name": name, "annotations": annotations},
            "spec": {"nodeName": "node1", "containers": [container]},
        }

    def _attach(self, name, uid):
        container = next(self._containers)
        netns = Netns(self._folder / container)
        code, result = answer(self._host.call("ADD", container, netns.path, name=name, uid=uid), PATIENCE)
        if code:
            self._orderly(LivingPod(name, uid, container, netns, ()))
            raise AssertionError(f"ADD of {name}: {result}")
        addresses = tuple(one["address"].split("/")[0] for one in result["ips"])
        self._status(name, phase="Running", podIP=addresses[0], podIPs=[{"ip": one} for one in addresses])
        self._addresses[name] = addresses
        return LivingPod(name, uid, container, netns, addresses)

    def _status(self, name, **status):
        self._api.patch(f"{PODS}/{name}/status", {"status": status})

    def _detach(self, pod):
        self._addresses.pop(pod.name, None)
        process = self._host.call("DEL", pod.container, pod.netns.path, name=pod.name, uid=pod.uid)
        code, result = answer(process, PATIENCE)
        pod.netns.remove()
        if code:
            raise AssertionError(f"DEL of {pod.name}: {result}")

    def _delete(self, pod):
        self._api.delete(f"{PODS}/{pod.name}")

    # How a pod ends.

    def _orderly(self, pod):
        self._detach(pod)
        self._delete(pod)

    def _forced(self, pod):
        """It is deleted by force: the runtime comes later."""
        self._delete(pod)
        self._detach(pod)

    def _lost(self, pod):
        """The runtime never says DEL: the namespace goes, and the node's server has to notice."""
        self._addresses.pop(pod.name, None)
        pod.netns.remove()
        self._delete(pod)

    def _finished(self, pod):
        """Its containers end for good, as a job's do."""
        self._status(pod.name, phase="Succeeded")
        self._detach(pod)
        self._delete(pod)

    def _restarted(self, pod):
        """Its sandbox is made anew."""
        self._detach(pod)
        self._living.append(self._attach(pod.name, pod.uid))
        self._churn.done["sandboxes made anew"] += 1

    def _renewed(self, pod):
        """Another pod of its name comes, as a StatefulSet's does; the runtime's DEL for the first one is late."""
        self._delete(pod)
        self._living.append(self.add(pod.name))
        pod.netns.remove()
        process = self._host.call("DEL", pod.container, "", name=pod.name, uid=pod.uid)
        code, result = answer(process, PATIENCE)
        if code:
            raise AssertionError(f"late DEL of {pod.name}: {result}")
