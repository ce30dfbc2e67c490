# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects the original's commands, as its users type them, on a bare host.

Open vSwitch and the Northbound database are real.
"""

from __future__ import annotations

import json
import pathlib

import pytest
from database_server import Server
from network_namespace import ip

from ansible_collections.ovn.kubernetes.plugins.module_utils._common import names
from ansible_collections.ovn.kubernetes.plugins.module_utils._common.errors import HostError
from ansible_collections.ovn.kubernetes.plugins.module_utils._host import used
from ansible_collections.ovn.kubernetes.plugins.module_utils._programs import result as answer
from ansible_collections.ovn.kubernetes.plugins.module_utils._topology import host

MASTER = "master-init --cluster-ip-subnet=192.168.0.0/16 --master-switch-subnet=192.168.1.0/24 --node-name=kube-master"
MINION = "minion-init --cluster-ip-subnet=192.168.0.0/16 --minion-switch-subnet=192.168.2.0/24 --node-name=kube-minion1"
GATEWAY = (
    "gateway-init --cluster-ip-subnet=192.168.0.0/16 --physical-interface eth1 --physical-ip 10.55.0.12/24 "
    "--node-name=kube-minion1 "
    "--default-gw 10.55.0.254"
)
ROUTER = "10.44.0.254"
COMPLETE = "Initialization complete.\n"
PEM = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----"


def column(rows, name):
    return sorted(row[name] for row in rows)


def test_the_seed_commands_twice(bare):
    """Protects: each command does its work and ends with 0; a second time it changes nothing (1.8, W6, W21).

    The second run prints the same as the first.
    """
    for command in (MASTER, MINION, GATEWAY):
        bare.nb.master()
        before = bare.seen()
        status, said, complained = bare.run(command, "--dry-run")
        assert (
            (status, complained) == (0, "") and said.endswith("Nothing was changed (--dry-run).\n") and "insert" in said
        )
        assert bare.seen() == before
        status, said, complained = bare.run(command)
        assert (status, complained) == (0, "") and said.endswith(COMPLETE) and len(said.splitlines()) > 5
        after = bare.seen()
        assert after != before
        assert bare.run(command) == (0, COMPLETE, "")
        assert bare.run(command, "--dry-run") == (0, "Nothing to change.\n", "")
        assert bare.seen() == after
    assert column(bare.nb.rows("NAT", ["type", "==", "snat"]), "external_ip") == ["10.55.0.12"]
    assert "192.168.2.2/24" in ip("address") and "192.168.0.0/16 via 192.168.2.1" in ip("route")


OVERLAPS = "cluster_ip_subnet 192.168.0.0/16 overlaps {}: choose a network that nothing else uses"


def test_an_administrator_in_the_pods_network(bare, monkeypatch):
    """Protects the session: README's own network has many a bastion in it. Nothing is touched."""
    monkeypatch.setenv("SSH_CONNECTION", "192.168.5.9 50000 10.44.0.12 22")
    before = bare.seen()
    status, _said, complained = bare.run(MASTER)
    assert status == 1 and OVERLAPS.format("192.168.5.9, from which this session comes (through eth0)") in complained
    assert bare.seen() == before


@pytest.mark.parametrize(
    ("route", "again"),
    [
        (f"192.168.0.0/16 via {ROUTER}", f"192.168.0.0/16 via {ROUTER} dev eth0"),
        (f"192.168.0.0/16 via {ROUTER} metric 100", f"192.168.0.0/16 via {ROUTER} dev eth0 metric 100"),
        ("blackhole 192.168.0.0/16", "blackhole 192.168.0.0/16"),
    ],
)
def test_a_route_of_somebody_is_never_lost(bare, route, again):
    """Protects somebody's own route to the same network: refused, and at a boot it is left alone too."""
    ip(f"route add {route}")
    before = bare.seen()
    status, _said, complained = bare.run(MASTER)
    assert status == 1 and OVERLAPS.format(f"the route {again}") in complained
    assert bare.seen() == before
    ip(f"route delete {route}")
    assert bare.run(MASTER)[0] == 0
    ip("route delete 192.168.0.0/16 dev k8s-kube-master")
    ip(f"route add {route}")
    settings = json.loads((bare.kept / "node.json").read_text())
    if "metric" not in route and "blackhole" not in route:
        with pytest.raises(HostError, match=r"^this host has the route 192\.168\.0\.0/16 via .* already, and"):
            host.Host(bare.remote).node(settings, move_underlay=False, accepted=True)
    assert again.split(" dev")[0] in ip("route")


def test_a_boot_is_not_refused(bare, monkeypatch):
    """Protects a node whose host uses the cluster's own name server: at a boot no route leads there yet."""
    resolver = bare.directory / "resolv.conf"
    resolver.write_text("nameserver 10.96.0.10\n")
    assert bare.run(f"{MASTER} --service-ip-subnet 10.96.0.0/16")[0] == 0
    monkeypatch.setattr(used, "RESOLVER_FILES", (str(resolver),))
    assert bare.run(f"{MASTER} --service-ip-subnet 10.96.0.0/16") == (0, COMPLETE, "")
    ip("route delete 10.96.0.0/16")
    settings = json.loads((bare.kept / "node.json").read_text())
    host.Host(bare.remote).node(settings, move_underlay=False, accepted=True)
    assert "10.96.0.0/16 via 192.168.1.1" in ip("route")


def test_a_gateway_without_next_hop_says_so(bare):
    """Protects egress: such a gateway works, and leads no further than its own network."""
    assert bare.run(MASTER)[0] == 0 and bare.run(MINION)[0] == 0
    status, _said, complained = bare.run(GATEWAY.replace("--default-gw 10.55.0.254", ""))
    assert status == 0 and complained == (
        "ovn-k8s-overlay gateway-init: note: gateway kube-minion1 has no IPv4 next hop: pods reach only the network of "
        "10.55.0.12/24 through it; give default_gw (in the inventory ovn_gateway_next_hop) if they are to reach more\n"
    )


def test_the_services_network(bare):
    """Protects a host's own connections to services: they go through the overlay.

    They still do when a later run does not name the services' network; without it, the command says so.
    """
    bare.nb.master()
    bare.set(**{"k8s-api-server": "https://10.0.0.1:6443"})
    status, _said, complained = bare.run(MINION)
    assert status == 0 and "give --service-ip-subnet" in complained
    for command in (MINION + " --service-ip-subnet=10.96.0.0/16", MINION):
        status, _said, complained = bare.run(command)
        assert status == 0 and "service" not in complained
        assert "10.96.0.0/16 via 192.168.2.1 dev " in ip("route")


@pytest.mark.parametrize("subnet", ["foo", "10.96.0.1/12"])
def test_a_services_network_that_is_none(bare, subnet):
    """Protects the host, and the watcher's rows: refused before anything is touched."""
    bare.nb.master()
    before = bare.seen()
    status, said, complained = bare.run(f"{MINION} --service-ip-subnet={subnet}")
    assert (status, said) == (1, "") and complained.startswith(
        f"ovn-k8s-overlay minion-init: service_ip_subnet '{subnet}' "
    )
    assert bare.seen() == before


def test_settings_that_nobody_can_read(bare):
    """Protects against a traceback: the sentence says which file, and what to do."""
    bare.nb.master()
    assert bare.run(MINION)[0] == 0
    for text in ("{", "3"):
        pathlib.Path(names.NODE_SETTINGS).write_text(text)
        status, said, complained = bare.run(MINION)
        assert (
            (status, said) == (1, "")
            and "node.json can't be read: " in complained
            and "; remove it, and" in complained
            and "Traceback" not in complained
        )


def test_w12_master_init_with_another_node_name(bare):
    """Protects: one cluster router and one join switch address, whatever the master's name; the node is renamed."""
    assert bare.run(MASTER)[0] == 0
    assert bare.run(MASTER.replace("kube-master", "other"))[0] == 0
    assert column(bare.nb.rows("Logical_Router"), "name") == ["ovn_cluster_router"]
    assert bare.nb.join_addresses() == ["100.64.0.1/16"]
    assert column(bare.nb.rows("Logical_Switch"), "name") == ["join", "other"]
    assert "k8s-other" in ip("link") and "k8s-kube-master" not in ip("link")
    assert bare.run(MINION)[0] == 0  # in the original every later init failed


def test_minion_init_on_a_clone(bare):
    """Protects the host from which this one was cloned, and this one: the Southbound database knows the system-id with
    another name and another address."""
    bare.nb.master()
    southbound = Server("ovn-sb", "OVN_Southbound")
    try:
        (row,) = bare.rows("Open_vSwitch")
        chassis = dict(row["external_ids"][1])["system-id"]
        encap = {"type": "geneve", "ip": "10.44.0.13", "chassis_name": chassis}
        row = {"name": chassis, "hostname": "kube-minion9", "encaps": ["named-uuid", "encap"]}
        southbound.transact(
            {"op": "insert", "table": "Encap", "row": encap, "uuid-name": "encap"},
            {"op": "insert", "table": "Chassis", "row": row},
        )
        bare.set(**{"ovn-remote": southbound.remote})
        before = bare.everything(), bare.nb.everything(), ip("link"), ip("route")
        status, _said, complained = bare.run(MINION)
        assert status and f"this host has the system-id {chassis} of kube-minion9" in complained
        assert (bare.everything(), bare.nb.everything(), ip("link"), ip("route")) == before
    finally:
        southbound.remove()


def test_w7_minion_init_with_a_changed_subnet(bare):
    """Protects: switch, router port, management port and route move together."""
    bare.nb.master()
    assert bare.run(MINION)[0] == 0
    assert bare.run(MINION.replace("192.168.2.0", "192.168.9.0"))[0] == 0
    (switch,) = bare.nb.rows("Logical_Switch", ["name", "==", "kube-minion1"])
    assert ["subnet", "192.168.9.0/24"] in switch["other_config"][1]
    (port,) = bare.nb.rows("Logical_Router_Port", ["name", "==", "rtos-kube-minion1"])
    assert port["networks"] == "192.168.9.1/24"
    assert "192.168.9.2/24" in ip("address") and "192.168.2." not in ip("address") + ip("route")


@pytest.mark.parametrize("more", [(), ("--dry-run",)], ids=["run", "dry run"])
def test_a_changed_subnet_under_pods_is_refused_before_the_host_is_touched(bare, more):
    """Protects pods that run: the command names them, and how to drain the node."""
    bare.nb.master()
    assert bare.run(MINION)[0] == 0
    (switch,) = bare.nb.rows("Logical_Switch", ["name", "==", "kube-minion1"])
    keys = {
        "k8s.ovn.org/owner-controller": "ovn.kubernetes",
        "k8s.ovn.org/owner-type": "Pod",
        "k8s.ovn.org/name": "demo/web",
        "k8s.ovn.org/id": "ovn.kubernetes:Pod:demo/web:port",
    }
    row = {
        "name": "demo_web",
        "addresses": "0a:58:c0:a8:02:03 192.168.2.3",
        "external_ids": ["map", [list(item) for item in keys.items()]],
    }
    bare.nb.transact(
        {"op": "insert", "table": "Logical_Switch_Port", "uuid-name": "p", "row": row},
        {
            "op": "mutate",
            "table": "Logical_Switch",
            "where": [["_uuid", "==", switch["_uuid"]]],
            "mutations": [["ports", "insert", ["named-uuid", "p"]]],
        },
    )
    before = bare.seen()
    status, said, complained = bare.run(MINION.replace("192.168.2.0", "192.168.9.0"), *more)
    assert status == 1 and not said and bare.seen() == before
    assert "there are pods with addresses (demo/web): drain the node first (kubectl drain kube-minion1" in complained


def test_w9_a_subnet_of_another_node_is_refused_before_the_host_is_touched(bare):
    """Protects: what the database refuses leaves the host as it was."""
    bare.nb.master()
    bare.nb.node(2)
    before = bare.seen()
    status, said, complained = bare.run(MINION)
    assert (status, said) == (1, "")
    assert complained == (
        "ovn-k8s-overlay minion-init: minion_switch_subnet of node kube-minion1 '192.168.2.0/24' "
        "overlaps 192.168.2.0/24 of node node2: "
        "give each node a subnet of its own\n"
    )
    assert bare.seen() == before


def test_f_a_missing_interface_leaves_nothing(bare):
    """Protects: gateway-init with a NIC that isn't there leaves no router, port or switch behind (legacy 1.8)."""
    bare.nb.master()
    before = bare.seen()
    status, said, complained = bare.run(GATEWAY.replace("eth1", "eth7"))
    assert (status, said) == (1, "") and "eth7 does not exist" in complained and complained.count("\n") == 1
    assert bare.seen() == before


def test_w25_one_rule_for_names(bare):
    """Protects: all commands spell a node's name the same way, lower case."""
    assert bare.run(MASTER.replace("kube-master", "Kube-Minion1"))[0] == 0
    assert bare.run(GATEWAY.replace("kube-minion1", "KUBE-MINION1"))[0] == 0
    assert column(bare.nb.rows("Logical_Router"), "name") == ["GR_kube-minion1", "ovn_cluster_router"]


def test_w6_pinned_source_subnets(bare):
    """Protects --rampout-ip-subnets: set, changed and removed with the command, also when the gateway exists already.

    The site's call does not change it.
    """
    bare.nb.master()
    assert bare.run(GATEWAY)[0] == 0
    for more, sources in (
        (["--rampout-ip-subnets=192.168.2.0/24,192.168.3.0/24"], "{192.168.2.0/24, 192.168.3.0/24}"),
        (["--rampout-ip-subnets", "192.168.2.0/24"], "{192.168.2.0/24}"),
    ):
        assert bare.run(GATEWAY, *more)[0] == 0
        (policy,) = bare.nb.rows("Logical_Router_Policy")
        assert policy["match"] == f"ip4.src == {sources} && ip4.dst != {{192.168.0.0/16, 100.64.0.0/16, 10.55.0.12}}"
        assert (policy["action"], policy["nexthops"]) == ("reroute", "100.64.0.2")
        assert bare.run(GATEWAY, *more) == (0, COMPLETE, "")
    bare.nb.call(
        "ovn_gateway",
        node_name="kube-minion1",
        physical_interface="eth1",
        physical_ip=["10.55.0.12/24"],
        default_gw=["10.55.0.254"],
    )
    assert len(bare.nb.rows("Logical_Router_Policy")) == 1
    assert bare.run(GATEWAY)[0] == 0
    assert bare.nb.rows("Logical_Router_Policy") == []
    bare.run(GATEWAY, *more)
    bare.nb.remove_gateway("kube-minion1")
    assert bare.nb.rows("Logical_Router_Policy") == []


def test_the_api_server_of_the_keys(bare):
    """Protects: server, certificate and token reach the programs' files.

    Only root can read the token, and it is in no plan, log or other file.
    """
    bare.nb.master()
    bare.set(
        **{
            "k8s-api-server": "https://10.0.0.1",
            "k8s-ca-certificate": PEM.replace("\n", "\\n"),
            "k8s-api-token": "s3cret",
        }
    )
    status, said, complained = bare.run(MINION, "--dry-run")
    assert status == 0 and "s3cret" not in said + complained
    status, said, complained = bare.run(MINION)
    assert (
        status == 0
        and "s3cret" not in said + complained
        and "ovs-vsctl remove Open_vSwitch . external_ids k8s-api-token" in complained
    )
    assert json.loads((bare.kept / "kubernetes-node.json").read_text()) == {
        "server": "https://10.0.0.1",
        "ca_file": str(bare.kept / "kubernetes-ca.crt"),
        "token_file": str(bare.kept / "kubernetes-node.token"),
    }
    assert (bare.kept / "kubernetes-ca.crt").read_text() == PEM + "\n"
    token = bare.kept / "kubernetes-node.token"
    assert (token.read_text(), token.stat().st_mode & 0o777) == ("s3cret\n", 0o600)
    assert [path.name for path in bare.kept.glob("*") if "s3cret" in path.read_text()] == [token.name]
    assert "s3cret" not in json.dumps(bare.nb.everything())
    # Taken out of the database, it stays where it is.
    after = bare.seen()[-1]
    bare.transact(
        {
            "op": "mutate",
            "table": "Open_vSwitch",
            "where": [],
            "mutations": [["external_ids", "delete", ["set", ["k8s-api-token"]]]],
        }
    )
    assert bare.run(MINION) == (0, COMPLETE, "")
    assert bare.seen()[-1] == after


def test_an_api_server_without_scheme(bare):
    """Protects: 127.0.0.1:8080, as the original's masters had it, is http."""
    bare.set(**{"k8s-api-server": "127.0.0.1:8080"})
    assert bare.run(MASTER)[0] == 0
    assert json.loads((bare.kept / "kubernetes-watcher.json").read_text()) == {
        "server": "http://127.0.0.1:8080",
        "ca_file": None,
        "token_file": None,
    }


def test_the_configuration_file(bare):
    """Protects: the pods' MTU of the original's file is the management port's."""
    (bare.directory / "ovn_k8s.conf").write_text("[default]\nmtu=1300\nconntrack_zone=64000\n")
    assert bare.run(MASTER)[0] == 0
    (interface,) = [row for row in bare.rows("Interface") if row["name"] == "k8s-kube-master"]
    assert interface["mtu_request"] == 1300


def test_a_host_that_forgets_is_told(bare, monkeypatch):
    """Protects whoever has not enabled the unit that brings the host's part back after a boot."""
    monkeypatch.setattr(answer, "ENABLED", "/none")
    status, said, complained = bare.run(MASTER)
    assert (status, said.splitlines()[-1] + "\n") == (0, COMPLETE) and complained.endswith(
        "run systemctl enable --now ovn-k8s-host\n"
    )


REFUSED = [
    (
        {"ovn-encap-type": "stt"},
        MASTER,
        "",
        "external_ids:ovn-encap-type of the Open_vSwitch table is stt: only geneve is made",
    ),
    (
        {"ovn-nb": "tcp:127.0.0.1:1"},
        MASTER,
        "",
        (
            "can't use database OVN_Northbound at tcp:127.0.0.1:1: nobody listens there: "
            "start the server, or correct the remote"
        ),
    ),
    (
        {"ovn-nb": "ssl:127.0.0.1:1"},
        MASTER,
        "--nb-privkey=/none",
        "private_key /none for ssl:127.0.0.1:1 does not exist: give its path (--nb-privkey, --nb-cert, --nb-cacert)",
    ),
    (
        {"k8s-api-server": "10.0.0.1:8080", "k8s-ca-certificate": "/etc/ca.crt"},
        MASTER,
        "",
        (
            "external_ids:k8s-ca-certificate of the Open_vSwitch table is no certificate: "
            "give its PEM text, with \\n between the lines"
        ),
    ),
    (
        {},
        GATEWAY,
        "--rampout-ip-subnets=10.1.0.0/24",
        (
            "source subnet of gateway kube-minion1 '10.1.0.0/24' is outside the pods' network 192.168.0.0/16: "
            "name subnets of pods"
        ),
    ),
    ({}, MINION, "", "Load_Balancer_Group clusterLBGroup does not exist: make it first"),
    (
        {},
        MASTER.replace("192.168.1.0/24", "192.168.1.0"),
        "",
        "minion_switch_subnet of node kube-master '192.168.1.0' lacks its prefix length",
    ),
    # What modules and the inventory refuse too: test_arguments.py, test_problems_cluster.py.
    (
        {},
        MASTER.replace("192.168.0.0/16", "127.0.0.0/8"),
        "",
        "cluster_ip_subnet '127.0.0.0/8' overlaps 127.0.0.0/8 (loopback addresses)",
    ),
    (
        {},
        MINION.replace("192.168.0.0/16", "224.0.0.0/4"),
        "",
        "cluster_ip_subnet '224.0.0.0/4' overlaps 224.0.0.0/3 (multicast and reserved addresses)",
    ),
    (
        {},
        GATEWAY.replace("192.168.0.0/16", "169.254.0.0/16"),
        "",
        "cluster_ip_subnet '169.254.0.0/16' overlaps 169.254.0.0/16 (link-local addresses)",
    ),
    (
        {},
        GATEWAY.replace("10.55.0.12/24", "224.0.0.5/8"),
        "",
        "physical_ip of gateway kube-minion1 '224.0.0.5/8' can't be a host's address: it is a multicast address",
    ),
]


@pytest.mark.parametrize(("keys", "command", "more", "sentence"), REFUSED)
def test_what_cannot_work_is_one_sentence(bare, keys, command, more, sentence):
    """Protects: exit status 1, one sentence, nothing changed."""
    bare.set(**keys)
    before = bare.seen()
    status, said, complained = bare.run(command, *more.split())
    assert (status, said) == (1, "") and complained.startswith(f"ovn-k8s-overlay {command.split()[0]}: {sentence}"), (
        complained
    )
    assert complained.count("\n") == 1
    assert bare.seen() == before
