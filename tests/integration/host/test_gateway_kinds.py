# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects a gateway that gets another NIC, or another kind with the same NIC: nothing of the former one is left."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest
from kernel_links import pair, tool
from network_namespace import ip
from vswitch import Vswitch

from ansible_collections.ovn.kubernetes.plugins.module_utils._ansible import argument_spec
from ansible_collections.ovn.kubernetes.plugins.module_utils._ansible.host import converge_host
from ansible_collections.ovn.kubernetes.plugins.module_utils._common.errors import HostError

ADDRESS = {"eth0": "10.44.0.12/24", "eth1": "10.55.0.12/24", "eth2": "10.66.0.12/24"}


class Here:
    """This namespace as a host, and what ovn_host and the NICs' moves make of it."""

    def __init__(self, vswitch):
        self.vswitch = vswitch

    def converge(self, check=False, **gateway):
        """Call ovn_host until it has no NIC to move, and move those that it names, as its action plugin does.

        Return the texts of all that was planned.
        """
        spec = argument_spec.OVN_HOST["argument_spec"]
        params = {name: option.get("default") for name, option in spec.items()}
        options = dict.fromkeys(spec["gateway"]["options"])
        params.update(
            open_vswitch=self.vswitch.remote,
            gateway={**options, "node_name": "n1", "cluster_ip_subnet": ["192.168.0.0/16"], **gateway},
        )
        texts = []
        for _call in range(3):
            module, found = SimpleNamespace(params=params, check_mode=check), {}
            for result in converge_host(module, lambda command: (1, "", ""), []):
                texts += [str(operation.as_dict()) for operation in result.plan]
                found.update(result.facts)
            if not found["moves"] or check:
                return texts
            for move in found["moves"]:
                present = move["state"] == "present"
                moved = self.vswitch.host().uplinks(move["nics"], present, "gateway", move.get("datapath_type"))
                texts += [str(operation.as_dict()) for operation in moved.plan]
        raise AssertionError(f"it goes on asking for {found['moves']}")

    def addresses(self):
        """Link -> its IPv4 addresses, of links that have some."""
        shown = json.loads(ip("-j -4 address show"))
        found = {link["ifname"]: [f"{one['local']}/{one['prefixlen']}" for one in link["addr_info"]] for link in shown}
        return {link: texts[0] for link, texts in found.items() if link != "lo"}

    def rows(self):
        """Bridges, and the mapping of the physical network."""
        (settings,) = self.vswitch.rows("Open_vSwitch")
        bridges = sorted(row["name"] for row in self.vswitch.rows("Bridge"))
        return bridges, dict(settings["external_ids"][1]).get("ovn-bridge-mappings")


@pytest.fixture(name="here")
def _here(monkeypatch):
    tool("sysctl", "-qw", "net.ipv6.conf.default.accept_dad=0")
    for nic, address in ADDRESS.items():
        pair(nic)
        ip(f"address add {address} dev {nic}")
    ip("route add default via 10.44.0.1")
    vswitch = Vswitch()
    try:
        vswitch.keep_here(monkeypatch.setattr)
        yield Here(vswitch)
    finally:
        vswitch.remove()


def alone(nic):
    return {"physical_interface": nic, "physical_ip": ["10.55.0.138/24"], "datapath_type": "netdev"}


def shared(nic):
    return {"shared_interface": nic, "bridge_interface": f"br{nic}", "datapath_type": "netdev"}


KINDS = {
    "alone eth1": (alone("eth1"), {"eth0": ADDRESS["eth0"], "eth2": ADDRESS["eth2"]}, "breth1"),
    "alone eth2": (alone("eth2"), {"eth0": ADDRESS["eth0"], "eth1": ADDRESS["eth1"]}, "breth2"),
    "shared eth1": (
        shared("eth1"),
        {"eth0": ADDRESS["eth0"], "breth1": ADDRESS["eth1"], "eth2": ADDRESS["eth2"]},
        "breth1",
    ),
}
CHANGES = [
    ("alone eth1", "alone eth2"),
    ("alone eth1", "shared eth1"),
    ("shared eth1", "alone eth1"),
    ("alone eth2", "shared eth1"),
]


@pytest.mark.parametrize(("before", "after"), CHANGES, ids=lambda kind: kind)
def test_a_gateway_changes(here, before, after):
    """Protects the NIC that a gateway leaves, and the one that it keeps: addresses are where the kind has them, no
    bridge is left, and the next run changes nothing."""
    options, addresses, bridge = KINDS[before]
    here.converge(**options)
    assert (here.addresses(), here.rows()) == (addresses, ([bridge], f"physnet:{bridge}"))
    options, addresses, bridge = KINDS[after]
    assert here.converge(check=True, **options) != []
    here.converge(**options)
    assert (here.addresses(), here.rows()) == (addresses, ([bridge], f"physnet:{bridge}"))
    assert here.converge(**options) == []
    here.vswitch.host().gateway(None)
    here.vswitch.host().uplinks(["eth1"], False, "gateway")
    assert (here.addresses(), here.rows()) == (ADDRESS, ([], None))


def test_a_shared_nic_that_the_host_needs_does_not_become_the_gateways_alone(here):
    """Protects the way to the host: the default route goes through the NIC, in its bridge as outside. Nothing is
    changed."""
    here.converge(**shared("eth0"))
    before = here.addresses(), here.rows()
    with pytest.raises(HostError, match="eth0 can't be the gateway's alone: the default route"):
        here.converge(**alone("eth0"))
    assert (here.addresses(), here.rows()) == before
