# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects connections to node ports at a gateway, in the userspace datapath: real packets through the real flows of
ovn-northd and ovn-controller.
"""

from __future__ import annotations

import contextlib
import subprocess

import out_of_window
from database_server import PROGRAMS, wait_for
from network_namespace import ip
from node_server import Netns
from northbound import Northbound
from northd import Northd
from ovn_daemon import Daemon
from vswitch import Vswitch

from ansible_collections.ovn.kubernetes.plugins.module_utils._common import names
from ansible_collections.ovn.kubernetes.plugins.module_utils._host.apply import apply_steps
from ansible_collections.ovn.kubernetes.plugins.module_utils._host.desired import HostState
from ansible_collections.ovn.kubernetes.plugins.module_utils._host.liberal_conntrack import LiberalConntrack
from ansible_collections.ovn.kubernetes.plugins.module_utils._host.read import read_and_plan

CHASSIS = {
    "system-id": "id-1",
    "ovn-encap-type": "geneve",
    "ovn-encap-ip": "127.0.0.1",
    "ovn-bridge-datapath-type": "netdev",
    "ovn-bridge-mappings": "physnet:breth1",
}


def test_a_node_port_outlives_a_segment_out_of_the_window(tmp_path, monkeypatch):
    """Protects a client outside: the gateway router would translate one address of such a segment and not the other,
    and the pod reset the connection.
    """
    with contextlib.ExitStack() as stack:

        def made(thing, end="remove"):
            stack.callback(getattr(thing, end))
            return thing

        nb = made(Northbound())
        nb.build(nodes=(1,), gateways=(1,))
        northd = made(Northd(nb))
        vswitch = made(Vswitch())

        def vsctl(*arguments):
            command = [PROGRAMS / "bin" / "ovs-vsctl", f"--db={vswitch.remote}", "--timeout=20", *arguments]
            return subprocess.run(command, check=True, capture_output=True, text=True).stdout

        keys = {**CHASSIS, "ovn-remote": northd.southbound.remote}
        vsctl("set", "Open_vSwitch", ".", *(f'external_ids:{key}="{value}"' for key, value in keys.items()))
        for bridge in ("br-int", "breth1"):
            vsctl("add-br", bridge, "--", "set", "bridge", bridge, "datapath_type=netdev")
        made(Daemon("ovn-controller", vswitch.directory, f"unix:{vswitch.socket}"))
        mac = northd.pod("pod", 1, "192.168.1.3")
        northd.nbctl("lb-add", "web", "10.55.0.1:30080", "192.168.1.3:8080", "--", "lr-lb-add", "GR_node1", "web")
        northd.nbctl("--wait=hv", "--timeout=20", "sync")

        pod, client = (made(Netns(tmp_path / name)) for name in ("pod", "client"))
        for place, link, bridge, address, router in (
            (pod, "pod", "br-int", "192.168.1.3/24", "192.168.1.1"),
            (client, "eth1", "breth1", "10.55.0.254/24", None),
        ):
            ip(f"link add {link} type veth peer name eth0 netns {place.path}")
            ip(f"link set {link} up")
            if router:
                place.run("ip", "link", "set", "eth0", "address", mac)
            place.run("ethtool", "-K", "eth0", "tx", "off")  # the userspace datapath completes no checksums
            place.run("ip", "address", "add", address, "dev", "eth0")
            place.run("ip", "link", "set", "eth0", "up")
            if router:
                place.run("ip", "route", "add", "default", "via", router)
            more = ["--", "set", "interface", link, "external_ids:iface-id=pod"] if router else []
            vsctl("add-port", bridge, link, *more)
        wait_for(lambda: "ovn-installed" in vsctl("get", "interface", "pod", "external_ids"), "the pod's flows")

        monkeypatch.setattr(names, "OPENVSWITCH_RUN_DIRECTORY", str(vswitch.directory))
        vswitch.be_found()
        apply_steps(read_and_plan(HostState(companions=(LiberalConntrack(),))))
        with out_of_window.listener(("192.168.1.3", 8080), where=pod.path) as verdict:
            assert client.run(*out_of_window.CONNECT, "10.55.0.1", "30080") == "well\n"
            assert verdict() == "well\n"
