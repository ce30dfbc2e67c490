# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects the annotations of a pod: what the watcher writes is what nodes and other tools read, whatever else stands
there.
"""

from __future__ import annotations

import json

import pytest

from ansible_collections.ovn.kubernetes.plugins.module_utils._common import names
from ansible_collections.ovn.kubernetes.plugins.module_utils._pods import annotation, northbound
from ansible_collections.ovn.kubernetes.plugins.module_utils._pods.annotation import PodAnnotations, PodNetwork

ONE = {
    "ovn": json.dumps({"ip_address": "192.168.1.3/24", "mac_address": "0A:58:C0:A8:01:03", "gateway_ip": "192.168.1.1"})
}
CIDRS = ("192.168.1.3/24", "fd10:0:0:1::3/64")


def parse(annotations):
    """The network that these annotations tell of."""
    return annotation.parse(PodAnnotations.from_mapping(annotations))


def render(cidrs=CIDRS):
    """The annotations of a pod with these addresses."""
    return annotation.render(northbound.network(cidrs), "uid-1")


def test_the_annotation_of_the_original_tool():
    """Protects pods that the original watcher annotated."""
    assert parse(ONE) == PodNetwork("0a:58:c0:a8:01:03", ("192.168.1.3/24",), ("192.168.1.1",))
    assert parse({}) is None


def test_what_the_watcher_writes_is_what_the_node_reads():
    """Protects the two programs' agreement: both IP versions, their gateways, and the pod that they are for."""
    written = render()
    assert (annotation.parse(written).addresses, annotation.parse(written).gateways) == (
        CIDRS,
        ("192.168.1.1", "fd10:0:0:1::1"),
    )
    assert annotation.parse(written._replace(networks=None)).addresses == CIDRS[:1]
    assert set(written.written) == {"ovn", "k8s.ovn.org/pod-networks", "ovn.kubernetes/pod-uid"}
    assert written.written["ovn.kubernetes/pod-uid"] == "uid-1"


def test_the_annotation_is_what_earlier_readers_expect():
    """Protects the plugin's contract: exactly three texts, the address with its prefix; and ovn-kubernetes' annotation
    beside it.
    """
    written = render(CIDRS[:1])
    assert written.network == (
        '{"ip_address": "192.168.1.3/24", "mac_address": "0a:58:c0:a8:01:03", "gateway_ip": "192.168.1.1"}'
    )
    assert json.loads(written.networks) == {
        "default": {
            "ip_addresses": ["192.168.1.3/24"],
            "mac_address": "0a:58:c0:a8:01:03",
            "gateway_ips": ["192.168.1.1"],
            "ip_address": "192.168.1.3/24",
            "gateway_ip": "192.168.1.1",
        }
    }


def test_both_ip_versions_are_annotated():
    """Protects dual stack (W17)."""
    networks = json.loads(render().networks)["default"]
    assert (networks["ip_addresses"], networks["gateway_ips"]) == (list(CIDRS), ["192.168.1.1", "fd10:0:0:1::1"])
    assert "ip_address" not in networks


@pytest.mark.parametrize(
    "annotations",
    [
        {names.POD_ANNOTATION: "[" * 100_000},
        {names.POD_NETWORKS_ANNOTATION: '{"default": ' * 100_000},
        {names.INGRESS_BANDWIDTH: "9" * 400 + "k"},
        {names.INGRESS_BANDWIDTH: "1e" + "9" * 1000},
        {names.POD_ANNOTATION: json.dumps({"ip_address": "fe80::1%a b/64", "mac_address": "0a:58:c0:a8:01:03"})},
    ],
)
def test_hostile_annotations(annotations):
    """Protects the node's server, which serves all pods: whatever one's annotations hold, the result is an error about
    that pod.
    """
    with pytest.raises(annotation.AnnotationError):
        parse({**ONE, **annotations})


RATES = {"10M": 10**7, "1e7": 10**7, "10E6": 10**7, ".5G": 5 * 10**8, "1Gi": 2**30, "1P": 10**15, " 1k ": 1000}


@pytest.mark.parametrize(("text", "rate"), RATES.items())
def test_rates_are_quantities(text, rate):
    """Protects pods with a limit that is written in another way than 10M: they did not start."""
    assert parse({**ONE, names.EGRESS_BANDWIDTH: text}).egress_rate == rate


@pytest.mark.parametrize("text", ["", "fast", "10Mbit", "-1M", "10", "1P1", "1E", "1e16", "998.9", "1e999999999"])
def test_rates_that_are_none(text):
    """Protects users from a limit that has no effect: the error says which annotation, and what would be right."""
    with pytest.raises(annotation.AnnotationError, match=r"kubernetes.io/egress-bandwidth is .* write bits a second"):
        parse({**ONE, names.EGRESS_BANDWIDTH: text})


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        "nonsense",
        "[]",
        "3",
        '{"default": 3}',
        '{"default": {"ip_addresses": [3]}}',
        '{"ip_address": null}',
        '{"ip_address": "x/24"}',
    ],
)
def test_annotations_without_addresses_are_no_error(text):
    """Protects all other pods from one whose annotation somebody has edited (W1)."""
    assert annotation.claimed_addresses(PodAnnotations(text, text)) == ()


def test_addresses_come_back_from_annotations():
    """Protects running pods when the database is lost."""
    written = render()
    assert annotation.claimed_addresses(written) == ("192.168.1.3", "fd10:0:0:1::3")
    assert annotation.claimed_addresses(written._replace(networks="broken")) == ("192.168.1.3",)
