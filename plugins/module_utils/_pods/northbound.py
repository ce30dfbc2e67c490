# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a pod is in the overlay: a port of its node's switch, with one address of each family, and the annotation that says so."""

from __future__ import annotations

import json
from typing import NamedTuple

from .._common import addressing, names
from .._ovsdb.rows import Owner, Row
from .._ovsdb.values import as_set

FINISHED = ("Succeeded", "Failed")
# Of pods that have no node yet, or are done, the API server need not tell.
FIELDS = "spec.nodeName!=,status.phase!=Succeeded,status.phase!=Failed"
KIND = "Pod"


class Pod(NamedTuple):
    """What is kept of a pod.

    :ivar node: the node's name as the overlay has it.
    :ivar annotation, networks: the texts of its two annotations, None where there is none.
    :ivar marked: whether they say that they are this pod's.
    """

    namespace: str
    name: str
    uid: str
    node: str
    annotation: str | None
    networks: str | None
    marked: bool

    @property
    def key(self):
        """Its key in messages and owner keys."""
        return f"{self.namespace}/{self.name}"


class Place(NamedTuple):
    """A node's switch, as pods see it."""

    name: str
    subnets: tuple
    chassis: str | None


def trim(item):
    """A pod object of the API server; None for one that has no port: on the host's network, without a node, or done."""
    meta, spec = item["metadata"], item["spec"]
    if spec.get("hostNetwork") or not spec.get("nodeName") or (item.get("status") or {}).get("phase") in FINISHED:
        return None
    notes = meta.get("annotations") or {}
    return Pod(
        meta["namespace"],
        meta["name"],
        meta["uid"],
        names.node_name(spec["nodeName"]),
        notes.get(names.POD_ANNOTATION),
        notes.get(names.POD_NETWORKS_ANNOTATION),
        notes.get(names.POD_UID_ANNOTATION) == meta["uid"],
    )


def owner(key):
    """Whose rows a pod's are."""
    return Owner(KIND, key)


def place(switch):
    """The node switch ``switch`` (a row) as pods see it."""
    subnets = tuple(subnet for subnet in (switch.external_id(names.SUBNETS_KEY) or "").split(",") if subnet)
    return Place(switch.name, subnets, switch.external_id(names.CHASSIS_KEY))


def rows(pod, where, cidrs):
    """The pod's rows, on the switch of ``where``, with these addresses."""
    line = " ".join([addressing.mac_of(cidrs), *(cidr.split("/")[0] for cidr in cidrs)])
    return [
        Row(
            "Logical_Switch_Port",
            owner(pod.key),
            "port",
            names.pod_port(pod.namespace, pod.name),
            where.name,
            {
                "addresses": (line,),
                "port_security": (line,),
                "options": {"iface-id-ver": pod.uid, "requested-chassis": where.chassis},
                "external_ids": {"namespace": pod.namespace, names.POD_MARK: "true"},
            },
        )
    ]


def annotations(where, cidrs):
    """(text of the annotation, text of that of today's tools) of a pod with these addresses."""
    mac = addressing.mac_of(cidrs)
    gateways = {
        addressing.family(subnet): addressing.nth(subnet, addressing.ROUTER, prefix=False) for subnet in where.subnets
    }
    inward = [gateways[addressing.family(cidr)] for cidr in cidrs]
    mine = {"ip_address": cidrs[0], "mac_address": mac, "gateway_ip": inward[0]}
    network = {"ip_addresses": list(cidrs), "mac_address": mac, "gateway_ips": inward}
    if len(cidrs) == 1:
        network.update(ip_address=cidrs[0], gateway_ip=inward[0])
    return json.dumps(mine), json.dumps({"default": network})


def addresses_of_port(port):
    """The addresses that a switch port (a row) has, whoever made it; none for ``router``, ``unknown`` and ``dynamic``."""
    out = []
    for line in as_set(port.columns["addresses"]):
        for word in line.split()[1:]:
            out += _addresses([word])
    return tuple(out)


def addresses_of_annotation(pod):
    """The addresses that a pod's annotations say it has; none when they say nothing that can be understood."""
    for text, read in (
        (pod.networks, lambda value: value["default"]["ip_addresses"]),
        (pod.annotation, lambda value: [value["ip_address"]]),
    ):
        try:
            return _addresses([cidr.split("/")[0] for cidr in read(json.loads(text))])
        except (AttributeError, KeyError, RecursionError, TypeError, ValueError):
            continue
    return ()


def _addresses(words):
    return tuple(filter(None, map(addressing.normalized, words)))
