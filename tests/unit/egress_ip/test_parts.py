# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects the parts of EgressIP that are pure: objects of anybody, who holds what, messages, flows and frames."""

from __future__ import annotations

import pathlib
import random

import pytest
import yaml

from ansible_collections.ovn.kubernetes.plugins.module_utils._egress_ip import guard, model, rows, status, wire
from ansible_collections.ovn.kubernetes.plugins.module_utils._egress_ip.assignment import Candidate, assign
from ansible_collections.ovn.kubernetes.plugins.module_utils._egress_ip.lease import MOST_OF_NODE, Answer, Held, Request
from ansible_collections.ovn.kubernetes.plugins.module_utils._egress_ip.model import EgressIP
from ansible_collections.ovn.kubernetes.plugins.module_utils._ovsdb.rows import CurrentRow

ROOT = pathlib.Path(__file__).resolve().parents[3]
DEFINITION = ROOT / "roles" / "common" / "files" / "k8s.ovn.org" / "egress-ip.yaml"
SECRET = b"secret"
NODES = [Candidate(f"n{number}", (f"10.55.0.{number}/24", f"fd55::{number}/64")) for number in (1, 2, 3)]


def read(**spec):
    """An object with this spec."""
    return EgressIP.from_object({"metadata": {"name": "one", "uid": "u"}, "spec": spec})


def test_addresses_are_normal_and_bounded():
    """Protects matches and rows: what is no address is named in words, and none is there twice."""
    one = read(egressIPs=["10.55.0.7", "FD55:0::7", "10.55.0.7", '1" || ip', 7, "127.0.0.1"], namespaceSelector={})
    assert one.addresses == ("10.55.0.7", "fd55::7") and len(one.faults) == 3
    many = read(egressIPs=[f"10.55.1.{number}" for number in range(1, 100)], namespaceSelector={})
    assert len(many.addresses) == model.MAXIMUM_ADDRESSES and "more than" in many.faults[0]


@pytest.mark.parametrize(
    "spec", [{}, {"egressIPs": "x"}, {"egressIPs": [None], "namespaceSelector": 5}, {"podSelector": []}]
)
def test_what_cannot_be_read_selects_nothing(spec):
    """Protects all pods from an object without a readable selector."""
    one = read(**spec)
    assert one.namespaces is None and one.faults


def test_no_spec_and_a_strange_status():
    """Protects the watcher from what others write into a status."""
    item = {
        "metadata": {"name": "a", "uid": "u"},
        "spec": None,
        "status": {"items": [1, {"node": 2}], "conditions": "x"},
    }
    assert EgressIP.from_object(item).items == (("None", "2"),)


def test_assignment_keeps_who_can_and_spreads():
    """Protects connections: an address moves when its node can't hold it, and for no other reason."""
    wanted = {"a": ["10.55.0.100", "10.55.0.101", "fd55::100"], "b": ["10.55.0.102"]}
    first = assign(wanted, {}, NODES)
    assert set(first) == {ip for some in wanted.values() for ip in some}
    assert first["10.55.0.100"] != first["10.55.0.101"]
    assert assign(wanted, first, NODES) == first
    gone = first["10.55.0.100"]
    left = [one if one.node != gone else Candidate(gone, one.networks, is_alive=False) for one in NODES]
    second = assign(wanted, first, left)
    assert {ip for ip in first if second.get(ip) != first[ip]} == {ip for ip in first if first[ip] == gone}
    assert gone not in second.values()


def test_assignment_needs_the_network():
    """Protects other networks: neither an address of none, nor a network's own, nor the gateway's, is held."""
    wanted = {"a": ["10.56.0.1", "10.55.0.255", "10.55.0.0"]}
    assert assign(wanted, {}, NODES) == {}
    assert assign({"a": ["10.55.0.1"]}, {}, NODES[:1]) == {}
    assert assign({"a": ["10.55.0.9"]}, {}, [Candidate("n1", ("10.55.0.1/24",), frozenset({6}))]) == {}


def test_assignment_keeps_a_silent_node_where_there_is_no_other():
    """Protects an address whose only node is away for a moment; without the label it is nobody's."""
    silent = Candidate("n1", ("10.55.0.1/24",), is_alive=False)
    assert assign({"a": ["10.55.0.9"]}, {"10.55.0.9": "n1"}, [silent]) == {"10.55.0.9": "n1"}
    assert assign({"a": ["10.55.0.9"]}, {"10.55.0.9": "n1"}, []) == {}


def test_assignment_is_bounded():
    """Protects messages: a node gets no more addresses than fit into one."""
    wanted = {f"o{number}": [f"10.55.0.{number}"] for number in range(20, 20 + 2 * MOST_OF_NODE)}
    assert len(assign(wanted, {}, NODES[:1])) == MOST_OF_NODE


def test_messages_come_back():
    """Protects both sides: a message is read as it was written, by who knows the secret only."""
    addresses = frozenset({"10.55.0.7", "fd55::7"})
    for is_sure, term in ((True, 0), (False, 2**63 - 1)):
        request = Request("node1", 2**63 - 1, 7, addresses, is_sure, term)
        answer = Answer(5, 7, addresses, frozenset({"fd55::7"}), is_sure, term)
        sent, back = wire.pack_request(request, SECRET), wire.pack_answer(answer, SECRET)
        assert wire.parse_request(sent, SECRET) == request and wire.parse_answer(back, SECRET) == answer
    assert wire.parse_request(sent, b"other") is None and wire.parse_answer(sent, SECRET) is None
    many = frozenset(f"fd55::{number:x}" for number in range(1, MOST_OF_NODE + 1))
    assert len(wire.pack_request(Request("n" * 60, 1, 1, many), SECRET)) < 1400


def test_messages_of_anybody_are_nothing():
    """Protects against any bytes: nothing raises, whoever they are from, and also under the right code."""
    luck = random.Random(1)
    for length in range(200):
        data = luck.randbytes(length)
        for tag in (wire.ASKS, wire.ANSWERS):
            sealed = wire._seal(tag, data, SECRET)
            wire.parse_request(sealed, SECRET)
            wire.parse_answer(sealed, SECRET)
            assert wire.parse_request(tag + data, SECRET) is None


def test_flows_of_an_address():
    """Protects the address on the wire: each of its packets passes a gate, in both directions and versions."""
    lines = guard.flows(5, 6, "52:54:00:00:00:01", {"10.55.0.7": 1, "fd55::7": 2})
    gated = [line for line in lines if "resubmit(,20)" in line]
    assert len(gated) == 8 and all("priority=290" in line for line in gated)
    assert guard.flows(5, 6, "52:54:00:00:00:01", {}) == ()


def test_frames_tell_who_has_the_address():
    """Protects neighbours' caches: ARP and neighbour advertisement with the gateway's MAC, and a right checksum."""
    arp = guard.announcement("10.55.0.7", "52:54:00:00:00:01")
    assert len(arp) == 60 and arp[:6] == b"\xff" * 6 and arp[28:32] == arp[38:42] == bytes([10, 55, 0, 7])
    advertisement = guard.announcement("fd55::7", "52:54:00:00:00:01")
    header, body = advertisement[14:54], advertisement[54:]
    assert guard._sum(header[8:40] + len(body).to_bytes(4, "big") + bytes([0, 0, 0, 58]) + body) == 0
    assert body[0] == 136 and body[4] == 0x20 and advertisement[:6] == bytes.fromhex("333300000001")


def router(node, text):
    """A gateway's router with such a text."""
    keys = {
        "k8s.ovn.org/owner-controller": "ovn.kubernetes",
        "k8s.ovn.org/owner-type": "Gateway",
        "k8s.ovn.org/name": node,
        "k8s.ovn.org/egress-ips": text,
    }
    return CurrentRow("Logical_Router", node, {"name": f"GR_{node}", "external_ids": keys}, {})


def test_what_the_database_says():
    """Protects a new granter: what is pending is not settled, and of an address in two rows nobody is."""
    text = rows.held_row("n1", {"10.55.0.7": True, "fd55::7": False}).columns["external_ids"]["k8s.ovn.org/egress-ips"]
    found = rows.all_held([router("n1", f"{text} 10.55.0.8 nonsense"), router("n2", "10.55.0.8")])
    assert found == {"10.55.0.7": Held("n1", True), "fd55::7": Held("n1", False), "10.55.0.8": Held("n2", False)}


def test_conditions_are_bounded():
    """Protects the API server from long texts."""
    told = status.conditions("x" * 5000, "")
    assert [one[1] for one in told] == ["False", "True"] and len(told[0][3]) == status.LONGEST


def test_definition_has_what_is_read_and_written():
    """Protects manifests: the definition has the fields that the code reads, and those that it writes."""
    crd = yaml.safe_load(DEFINITION.read_text(encoding="utf-8"))
    (version,) = crd["spec"]["versions"]
    schema = version["schema"]["openAPIV3Schema"]["properties"]
    assert set(schema["spec"]["properties"]) == {"egressIPs", "namespaceSelector", "podSelector"}
    assert set(schema["status"]["properties"]["items"]["items"]["properties"]) == {"egressIP", "node"}
    assert schema["spec"]["properties"]["egressIPs"]["maxItems"] == model.MAXIMUM_ADDRESSES
    assert "status" in version["subresources"] and crd["spec"]["scope"] == "Cluster"
    assert f"/apis/{crd['spec']['group']}/{version['name']}/{crd['spec']['names']['plural']}" == model.PATH
