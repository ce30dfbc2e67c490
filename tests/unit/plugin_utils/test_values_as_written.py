# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects who fills in forms, and copies values from pages and files: what is meant is read, all else is refused."""

from __future__ import annotations

import pytest

from ansible_collections.ovn.kubernetes.plugins.plugin_utils._errors import InvalidValue
from ansible_collections.ovn.kubernetes.plugins.plugin_utils._values import is_empty, read
from ansible_collections.ovn.kubernetes.plugins.plugin_utils._variables import VARIABLES, closest, meant

TWO = ["10.0.0.0/8", "fd00::/48"]
SETTING = {"table": "Open_vSwitch", "record": ".", "column": "other_config", "key": "hw-offload", "value": "true"}
LINES = "- table: Open_vSwitch\n  record: .\n  column: other_config\n  key: hw-offload\n  value: true\n"
RIGHT = {
    "ovn_egress_rebalance": (
        [(text, True) for text in ("on", "Yes ", "1", 1, "TRUE\r\n", "\ufeffon", "'true'", '"y"')]
        + [(text, False) for text in ("off", "no", "0", 0, "False\ufeff")]
    ),
    "ovn_mtu": [(text, 1442) for text in ("1442 ", "1442\r\n", "\ufeff1442", '"1442"', " '1442'\n")],
    "ovn_cluster_subnet": [
        (text, TWO)
        for text in (
            "10.0.0.0/8, fd00::/48,",
            "10.0.0.0/8\r\nfd00::/48\r\n",
            '["10.0.0.0/8", "fd00::/48"]',
            "['10.0.0.0/8', 'fd00::/48']",
            "[10.0.0.0/8, fd00::/48]",
            "- 10.0.0.0/8\n- fd00::/48\n",
            "'10.0.0.0/8', 'fd00::/48'",
            ["10.0.0.0/8 ", "\ufefffd00::/48\n"],
        )
    ],
    "ovn_gateway_next_hop": [
        (text, ["2001:1:2:3:4:5:6:7"]) for text in ("[2001:1:2:3:4:5:6:7]", "2001:1:2:3:4:5:6:7 ")
    ],
    "ovn_node_subnet_prefix": [(text, [24, 64]) for text in ("24,64", "[24, 64]", "- 24\n- 64", "24 64", ["24", 64])],
    "ovn_remove_hosts": [(text, ["a", "b"]) for text in ("a, b", "a\nb\r\n", '["a","b"]', "- a\n- b", "'a', \"b\"")],
    "ovn_encap_ip": [(text, "10.0.0.1") for text in ("10.0.0.1 ", "'10.0.0.1'", "\u200b10.0.0.1")],
    "ovn_gateway_interface": [(text, "eth1") for text in (" eth1\r\n", "\ufeffeth1", '"eth1"')],
    "ovn_encap_type": [("geneve\ufeff", "geneve"), ('"geneve"', "geneve")],
    "ovn_kubernetes_api": [
        (text, "https://10.0.0.1:6443")
        for text in ("https://10.0.0.1:6443\n", "HTTPS://10.0.0.1:6443", "'https://10.0.0.1:6443'")
    ],
    "ovn_kubernetes_token": [(text, "abc") for text in ("abc\r\n", "\ufeffabc", '"abc"')],
    "ovn_openvswitch_settings": [(LINES, [SETTING]), (f"[{{{LINES[2:].strip().replace(chr(10), ',')}}}]", [SETTING])],
}


def plain(value):
    """The value, with addresses as text."""
    if isinstance(value, list):
        return [plain(item) for item in value]
    return value if isinstance(value, (bool, int, dict)) else str(value)


@pytest.mark.parametrize("name", RIGHT)
def test_what_is_meant_is_read(name):
    """Protects values with spaces, quotes, marks of editors, and lists as text, for each kind of variable."""
    found = [(value, plain(read(VARIABLES[name], value))) for value, _meant in RIGHT[name]]
    assert found == RIGHT[name]


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("ovn_egress_rebalance", ["enabled", 2, ["true"], "[true]"]),
        ("ovn_mtu", ["1,442", "1442.0", 1442.0, "0x5a2", "1e3", "\uff11\uff14\uff14\uff12", [1442]]),
        ("ovn_cluster_subnet", ["10.0.0.0/8;fd00::/48", "10.0.0.0 / 8", '{"a": 1}', "[[10.0.0.0/8]]"]),
        ("ovn_encap_ip", ["10.0.0.1, fd00::1", ["10.0.0.1"], 3232235777, "010.0.0.1"]),
        ("ovn_kubernetes_api", ["https:// 10.0.0.1", "https://10.0.0.1\nx", "https://10.0.0.1?a=b", "https://a#b"]),
    ],
)
def test_what_may_mean_something_else_is_refused(name, values):
    """Protects against a value that was guessed."""
    for value in values:
        with pytest.raises(InvalidValue):
            read(VARIABLES[name], value)


def test_what_is_empty():
    """Protects answers of forms that nobody gave: text, lists of nothing, and marks that nobody sees."""
    nothing = (None, "", " \t\r\n", "\u00a0", "\ufeff", "''", "[]", [], {}, [""], [" ", None], [[]])
    assert [value for value in nothing if not is_empty(value)] == []
    assert [value for value in (0, False, "0", "false", [0], [False], ["a", ""]) if is_empty(value)] == []


NAMES = {
    "ovn_mtu": [
        "onv_mtu",
        "ovnmtu",
        "OVN_MTU",
        "Ovn_Mtu",
        "ovn-mtu",
        "ovn.mtu",
        "ovnMtu",
        "OVN-MTU",
        "ovm_mtu",
        "0vn_mtu",
        "ovnn_mtu",
        "obn_mtu",
    ],
    "ovn_kubernetes_api": ["ovnKubernetesApi", "OVN_kubernetes_api", "onv_kubernetes_api"],
    "ovn_kubernetes_token": ["OVN_KUBERNETES_TOKEN", "OVN_KUBERNETES_TOKEN_FILE"],
    "ovn_remove_hosts": ["onv_remove_hosts", "ovn-remove-hosts", "OVN_REMOVE_HOST"],
    "": ["k8s_ovn_mtu", "_ovn_mtu", "on_mtu", "ovs_mtu", "gateway_ip", "ovn_mtu", "online_log_level", "ovnkube_cni"],
}
SIMILAR = {
    "ovn_mtu": ["ovn_MTU", "ovn_mut", "ovn__mtu", "ovn_mtu_"],
    "ovn_gateway_ip": ["ovn_gatway_ip", "ovn_gateway_IP", "ovn_gateway"],
    "ovn_kubernetes_admin_kubeconfig": ["ovn_kubeconfig", "ovn_admin_kubeconfig"],
    "ovn_kubernetes_token": ["ovn_KUBERNETES_TOKEN", "ovn_token"],
    "ovn_remove_hosts": ["ovn_remove_host", "ovn_remove_Hosts"],
    "": ["ovn_frobnicate"],
}


@pytest.mark.parametrize(("names", "find"), [(NAMES, meant), (SIMILAR, closest)], ids=["prefix", "rest"])
def test_names_as_people_write_them(names, find):
    """Protects against a variable that counts for nothing without a word, and users' own variables against us."""
    expected = {name: right for right, written in names.items() for name in written}
    assert {name: find(name) for name in expected} == expected
