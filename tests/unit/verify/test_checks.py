# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects the checks of verify: each names what is wrong, what it causes and what mends it, and a host in order has no
finding."""

from __future__ import annotations

import base64
import json
from dataclasses import replace

import pytest

from ansible_collections.ovn.kubernetes.plugins.module_utils._common import names
from ansible_collections.ovn.kubernetes.plugins.module_utils._host.steps.central_ports import TableStep
from ansible_collections.ovn.kubernetes.plugins.module_utils._host.steps.files import SysctlStep
from ansible_collections.ovn.kubernetes.plugins.module_utils._host.steps.routes import RouteStep
from ansible_collections.ovn.kubernetes.plugins.module_utils._host.units import Status, Unit
from ansible_collections.ovn.kubernetes.plugins.module_utils._netlink.records import KernelRoute, Nexthop
from ansible_collections.ovn.kubernetes.plugins.module_utils._ovsdb.plan import Change
from ansible_collections.ovn.kubernetes.plugins.module_utils._ovsdb.rows import Owner, Row
from ansible_collections.ovn.kubernetes.plugins.module_utils._pods.cni import findings
from ansible_collections.ovn.kubernetes.plugins.module_utils._pods.cni.conflist import Earlier, configuration
from ansible_collections.ovn.kubernetes.plugins.module_utils._verify import checks, words
from ansible_collections.ovn.kubernetes.plugins.module_utils._verify.facts import (
    NODE_SERVER,
    Compared,
    Expected,
    ExpectedFile,
    FileState,
    Lasting,
    Passing,
    Peer,
    PodLink,
    Token,
)
from ansible_collections.ovn.kubernetes.plugins.module_utils._verify.finding import ERROR, SITE, WARNING

RUNS = Status(loaded=True, running=True, enabled=True, state="active (running)")
ARCHIVE = ExpectedFile(names.ARCHIVE, "1", mode=0o755)
NODE = names.node_account("node1")


def token(account=NODE, expires=1e12, issued=1e12 - 9):
    """A bound token of a service account, without a signature."""
    payload = {
        "sub": f"system:serviceaccount:{names.ACCOUNTS_NAMESPACE}:{account}",
        "kubernetes.io": {"serviceaccount": {"uid": "u1"}},
        "iat": issued,
        "exp": expires,
    }
    return f"x.{base64.urlsafe_b64encode(json.dumps(payload).encode()).decode()}.x"


EXPECTED = Expected(
    node={"mtu": 1400},
    serves_pods=True,
    packages=("ovn-host",),
    units=(Unit("ovn-controller.service"), Unit("ovn-k8s-node.service", content="text", started_from=(names.ARCHIVE,))),
    files=(ARCHIVE, ExpectedFile("/etc/default/ovn-central", block="A=1\nB=2")),
    tokens=(Token(names.NODE_TOKEN, NODE),),
    peers=(Peer("node2", "192.168.2.2"),),
    routers=(Peer("node1", "100.64.0.2"),),
)
LASTING = Lasting(
    packages=frozenset({"ovn-host"}),
    files={
        names.ARCHIVE: FileState("1", 0o755),
        "/etc/default/ovn-central": FileState("2", 0o644, "#\nA=1\nB=2\n"),
        names.NODE_TOKEN: FileState("3", 0o600),
    },
    tokens={names.NODE_TOKEN: token()},
    mtu=1400,
    pod_links=(PodLink("ns/web", 1400),),
)
PASSING = Passing(
    units={"ovn-controller.service": RUNS, "ovn-k8s-node.service": replace(RUNS, content="text")},
    registered=True,
    configuration=configuration(1400),
    mtu=1400,
)


def lasting(**changes):
    """The findings of a host in order but for these changes."""
    state = replace(LASTING, **changes)
    return [finding for check in checks.LASTING for finding in check(EXPECTED, state)]


def passing(expected=EXPECTED, **changes):
    state = replace(PASSING, **changes)
    return [finding for check in checks.PASSING for finding in check(expected, state)]


def test_a_daemon_that_is_not_connected():
    """Protects a host that changes don't reach: it is named, once, where the database can be reached from it."""
    (found,) = passing(cut_off=("ovn-controller",))
    assert found.wrong == "ovn-controller is not connected to OVN's databases (/var/log/ovn/ovn-controller.log)"
    assert found.severity == ERROR and found.mend == SITE
    (found,) = passing(cut_off=("ovn-controller",), southbound="connection refused")
    assert "can't be reached from here" in found.wrong


def test_a_host_in_order_has_no_finding():
    """Protects against a verify that cries wolf."""
    assert (lasting(), passing()) == ([], [])


ROUTE = KernelRoute("192.168.0.0/16", (Nexthop("k8s-node1", "192.168.1.1"),))
SWITCH = Row("Logical_Switch", Owner("Node", "node1"), "switch", "node1")
CASES = {
    "package": ({"packages": frozenset()}, "not installed: ovn-host"),
    "file gone": ({"files": {**LASTING.files, names.ARCHIVE: None}}, f"file {names.ARCHIVE} is missing"),
    "file differs": (
        {"files": {**LASTING.files, names.ARCHIVE: FileState("2", 0o755)}},
        f"file {names.ARCHIVE} differs from the controller's",
    ),
    "file's mode": (
        {"files": {**LASTING.files, names.ARCHIVE: FileState("1", 0o600)}},
        f"file {names.ARCHIVE} has mode 0600, not 0755",
    ),
    "block": (
        {"files": {**LASTING.files, "/etc/default/ovn-central": FileState("2", 0o644, "A=1\n")}},
        "file /etc/default/ovn-central lacks the options of the overlay",
    ),
    "token gone": ({"tokens": {}}, f"the token in {names.NODE_TOKEN} is missing"),
    "token old": (
        {"tokens": {names.NODE_TOKEN: token(expires=10, issued=1)}},
        f"the token in {names.NODE_TOKEN} has expired",
    ),
    "token that all read": (
        {"files": {**LASTING.files, names.NODE_TOKEN: FileState("3", 0o644)}},
        f"the token in {names.NODE_TOKEN} has mode 0644 and owner 0, not 0600 and root",
    ),
    "token of a user": (
        {"files": {**LASTING.files, names.NODE_TOKEN: FileState("3", 0o600, owner=1000)}},
        f"the token in {names.NODE_TOKEN} has mode 0600 and owner 1000, not 0600 and root",
    ),
    "token of others": (
        {"tokens": {names.NODE_TOKEN: token("ovn-k8s-node-node2")}},
        f"the token in {names.NODE_TOKEN} belongs to another service account",
    ),
    "Open vSwitch": ({"open_vswitch": "no answer"}, "Open vSwitch's database can't be read: no answer"),
    "route": (
        {"node": Compared([RouteStep(ROUTE, True)])},
        "route 192.168.0.0/16 via 192.168.1.1 dev k8s-node1 is missing",
    ),
    "sysctl": (
        {"node": Compared([SysctlStep("net.ipv4.ip_forward", (), None, "1", "0")])},
        "sysctl net.ipv4.ip_forward differs: 0 -> 1",
    ),
    "part": (
        {"gateway": Compared(problem="eth1 is gone")},
        "the gateway's part can't be compared: eth1 is gone",
    ),
    "ports": (
        {"central_ports": Compared([TableStep("inet", names.CENTRAL_TABLE, [{"table": {}}], [])])},
        "nftables table inet ovn-kubernetes-central is missing",
    ),
    "ports that can't be read": (
        {"central_ports": Compared(problem="no library")},
        "the ports of the databases can't be compared: no library",
    ),
    "MTU": (
        {"pod_links": (PodLink("ns/a", 1500), PodLink("ns/b", 1400))},
        "pods with MTU 1500, where ovn_mtu is 1400 now: ns/a",
    ),
    "bridge": (
        {"bridge_addresses": {"breth1": ["10.1.1.1/24"]}},
        "foreign address 10.1.1.1/24 on the gateway's bridge breth1",
    ),
    "controller": (
        {"controllers": {"br-int": ("tcp:127.0.0.1:6633",)}},
        "br-int has the controller tcp:127.0.0.1:6633 of another program",
    ),
    "NICs": ({"unfinished": "a change of the NICs eth0 is left"}, "a change of the NICs eth0 is left"),
    "row": ({"overlay": Compared([Change("insert", SWITCH, None)])}, "Logical_Switch node1 is missing"),
    "Northbound": ({"overlay": Compared(problem="gone")}, "the Northbound database can't be compared: gone"),
}
WARNINGS = {"MTU", "bridge"}


@pytest.mark.parametrize("case", CASES)
def test_what_stays_wrong_is_named(case):
    """Protects each check: one finding, with words, consequence and remedy; what works on is a warning."""
    changes, text = CASES[case]
    (finding,) = lasting(**changes)
    assert finding.wrong == text and finding.causes and finding.mend
    assert (finding.severity == WARNING) == (case in WARNINGS)


def test_no_token_is_shown():
    """Protects secrets: no finding has the token that it is about."""
    secret = token("ovn-k8s-node-node2")
    assert secret not in str(lasting(tokens={names.NODE_TOKEN: secret}))


def test_a_row_s_finding_is_about_its_node():
    """Protects the table: a node's switch that is gone is listed under that node, wherever it was found."""
    (finding,) = lasting(overlay=Compared([Change("insert", SWITCH, None)]))
    assert finding.node == "node1"


def test_many_differences_are_counted():
    """Protects the table against a host with nothing on it yet: the first differences, and how many more."""
    found = lasting(node=Compared([RouteStep(ROUTE, True)] * (words.SHOWN + 3)))
    assert len(found) == words.SHOWN + 1
    assert found[-1].wrong.startswith("3 more differences")


STATES = {
    "stopped": (
        "ovn-controller.service",
        replace(RUNS, running=False, state="inactive (dead)"),
        "ovn-controller.service does not run: inactive (dead)",
    ),
    "not there": (
        "ovn-controller.service",
        Status(loaded=False, running=False, enabled=False),
        "ovn-controller.service does not exist",
    ),
    "crashes": (
        "ovn-controller.service",
        replace(RUNS, state="activating (auto-restart)"),
        "ovn-controller.service does not come up: activating (auto-restart)",
    ),
    "other unit": (
        "ovn-k8s-node.service",
        replace(RUNS, content="other"),
        "ovn-k8s-node.service is not as it should be: write the unit; let systemd read its files again; "
        "restart, since it was started before /etc/systemd/system/ovn-k8s-node.service changed",
    ),
    "old program": (
        "ovn-k8s-node.service",
        replace(RUNS, content="text", newer=(names.ARCHIVE,)),
        "ovn-k8s-node.service is not as it should be: let systemd read its files again; "
        f"restart, since it was started before {names.ARCHIVE} changed",
    ),
    "not at boot": (
        "ovn-controller.service",
        replace(RUNS, enabled=False),
        "ovn-controller.service is not as it should be: enable",
    ),
}


@pytest.mark.parametrize("case", STATES)
def test_a_unit_that_is_not_as_it_should_be(case):
    """Protects each state of a unit: one finding, with what depends on this unit."""
    unit, status, text = STATES[case]
    found = passing(units={**PASSING.units, unit: status})
    assert [finding.wrong for finding in found][:1] == [text]
    assert all(finding.causes and finding.mend for finding in found)


def test_a_unit_that_should_be_gone():
    """Protects a NIC that is not shared any more: the helper that is left is named."""
    unit = Unit("ovn-k8s-gateway-helper.service", "absent", optional=True)
    expected = replace(EXPECTED, units=(unit,))
    gone = Status(loaded=False, running=False, enabled=False)
    assert passing(expected, units={unit.name: gone}) == []
    (finding,) = passing(expected, units={unit.name: replace(RUNS, content="text")})
    assert finding.wrong == "ovn-k8s-gateway-helper.service is there, and the inventory has no use for it"


WEB = findings.Finding("pod ns/web", "its port is gone", "the pod has no network", "kubectl delete pod -n ns web")


def test_what_does_not_work_is_named():
    """Protects what only shows when it is used: readiness, the chassis, the tunnels, what the node server found."""
    found = passing(
        registered=False,
        not_ready={"ovn-k8s-node.service": "br-int is missing"},
        reported=(WEB._asdict(),),
        silent_routers=(Peer("node1", "100.64.0.2"),),
    )
    assert [finding.wrong for finding in found] == [
        "ovn-k8s-node is not ready: br-int is missing",
        "pod ns/web: its port is gone",
        "the Southbound database has no chassis with this host's system-id",
        "the gateway router of node1 (100.64.0.2) does not answer through the overlay",
    ]
    assert (found[1].subject, found[1].causes, found[1].mend) == (WEB.subject, WEB.causes, WEB.mend)
    assert found[1].severity == ERROR


def test_what_the_node_server_only_warns_of():
    """Protects the severity that the node server gives: a warning does not make verify fail."""
    (finding,) = passing(reported=(WEB._replace(severity=findings.WARNING)._asdict(),))
    assert finding.severity == WARNING
    (finding,) = passing(reported=({**WEB._asdict(), "severity": ["?"]},))
    assert finding.severity == ERROR


def test_a_node_server_that_does_not_say_what_it_has_found():
    """Protects against a host in order that nobody has asked: findings that can't be read are a finding."""
    (finding,) = passing(unreported={NODE_SERVER: "http://127.0.0.1:9410/findings answers with status 500"})
    assert finding.wrong.endswith("can't be read: http://127.0.0.1:9410/findings answers with status 500")
    assert finding.severity == ERROR


def test_a_shared_nic_without_flows():
    """Protects a gateway on a shared NIC whose helper runs, and has nothing to steer with."""
    expected = replace(EXPECTED, gateway={"nic": None, "bridge": "breth0", "families": [4]}, is_gateway=True)
    assert passing(expected, flows=True) == []
    (finding,) = passing(expected, flows=False)
    assert finding.wrong.startswith("bridge breth0 has no flows")
    (finding,) = passing(expected, no_flows="ovs-vswitchd did not answer within 5 s")
    assert finding.wrong == "the flows of bridge breth0 can't be read: ovs-vswitchd did not answer within 5 s"


def test_what_a_program_reports_is_not_trusted():
    """Protects the table: a long finding is cut, and is one line that moves no terminal's cursor."""
    (finding,) = passing(reported=({"subject": "pod a/b", "wrong": "\x1b[2J\n" + "x" * 5000, "mend": None},))
    assert len(finding.wrong) <= 1010 and finding.wrong.isprintable() and finding.mend != SITE


@pytest.mark.parametrize(("text", "wrong"), [("", "is missing"), ("{}", "is not the node server's")])
def test_the_runtime_s_configuration(text, wrong):
    """Protects a ready node server's file: it is compared; a server that is not ready has a row of its own."""
    (finding,) = passing(configuration=text)
    assert finding.wrong == f"file {names.CNI_CONFIGURATION} {wrong}"
    (finding,) = passing(configuration=text, not_ready={"ovn-k8s-node.service": "br-int is missing"})
    assert finding.wrong == "ovn-k8s-node is not ready: br-int is missing"


def test_configurations_of_others():
    """Protects users of a host that had another network, and of a service mesh that was removed in part: new pods have
    another network, or none. What a mesh has added is no difference.
    """
    added = json.loads(configuration(1400))
    added["plugins"].append({"type": "istio-cni"})
    assert passing(configuration=json.dumps(added)) == []
    others = (Earlier("/etc/cni/net.d/05-a.conf", ("flannel",)), Earlier("/etc/cni/net.d/06-b.conf", ("multus",), True))
    found = lasting(earlier_configurations=others, lost_plugins=("istio-cni",))
    assert [(one.severity, one.wrong) for one in found] == [
        (ERROR, "/etc/cni/net.d/05-a.conf has flannel, and comes before 10-ovn-kubernetes.conflist"),
        (WARNING, "/etc/cni/net.d/06-b.conf has multus, and comes before 10-ovn-kubernetes.conflist"),
        (
            WARNING,
            f"plugin istio-cni, which another program has added to {names.CNI_CONFIGURATION}, is not in /opt/cni/bin",
        ),
    ]


def test_kube_proxy_beside_us():
    """Protects users who have left kube-proxy, or its rules: two programs translate the same connections."""
    (runs,) = lasting(kube_proxy=("process 7", "chain KUBE-SERVICES in table ip nat of nftables"))
    assert runs.wrong == "kube-proxy runs here too: process 7, chain KUBE-SERVICES in table ip nat of nftables"
    assert "delete daemonset kube-proxy" in runs.mend and "10256" in runs.causes
    (left,) = lasting(kube_proxy=("link kube-ipvs0",))
    assert left.wrong == "rules of kube-proxy are left here: link kube-ipvs0" and left.severity == WARNING
    assert left.mend == "run here: kube-proxy --cleanup, or boot this host"


def test_a_health_port_of_somebody_else():
    """Protects hosts behind a cloud's load balancer: it asks kube-proxy's port, and takes silence for a dead host."""
    (finding,) = passing(unhealthy="another program answers, with status 404")
    assert "(port 10256) are not answered: another program answers, with status 404" in finding.wrong
    assert "proxy" not in str(passing(unhealthy="x", not_ready={"ovn-k8s-node.service": "br-int is missing"}))


def test_systemd_that_does_not_answer_hides_nothing():
    """Protects a host that fails early: the rest is still compared."""
    found = passing(systemd="no answer", units={}, registered=False)
    assert [finding.subject for finding in found] == ["systemd", "Southbound"]
