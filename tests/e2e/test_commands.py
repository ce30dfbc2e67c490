# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""The original's commands, one after another, on hosts with only the distribution's OVS and OVN and our archive.

The hosts are two of their own, beside those that the site play converges.
"""

from __future__ import annotations

import subprocess
from concurrent.futures import ThreadPoolExecutor

import pytest
from lab_hosts import ROOT, Pod, lab, network, northbound, on, wait

from .test_traffic import ASK, SERVER

pytestmark = pytest.mark.timeout(900)  # the first test waits for two bare hosts to be installed

MASTER, MINION = HOSTS = ("ovn-node21", "ovn-node22")  # 10.44.0.31 and 10.44.0.32
PORT = 8098  # of the server outside: tests on the other hosts have 8099 there, maybe at the same time
PACKAGES = (
    "openvswitch-switch ovn-host python3-openvswitch python3-pyroute2 python3-nftables python3-jeepney python3-systemd"
)
CLUSTER = '--cluster-ip-subnet="192.168.0.0/16"'
SEED = (
    (MASTER, "ovn-k8s-util nics-to-bridge eth0"),  # the NIC of this very connection
    (MASTER, "ovn-k8s-util confirm"),
    (MASTER, 'ovs-vsctl set Open_vSwitch . external_ids:k8s-api-server="127.0.0.1:8080"'),
    (MASTER, f'ovn-k8s-overlay master-init {CLUSTER} --master-switch-subnet="192.168.1.0/24" --node-name="{MASTER}"'),
    (
        MINION,
        (
            'ovs-vsctl set Open_vSwitch . external_ids:k8s-api-server="https://10.44.0.31" '
            'external_ids:k8s-api-token="s3cret"'
        ),
    ),
    (MINION, f'ovn-k8s-overlay minion-init {CLUSTER} --minion-switch-subnet="192.168.2.0/24" --node-name="{MINION}"'),
    (
        MINION,
        f"ovn-k8s-overlay gateway-init {CLUSTER} --physical-interface eth1 --physical-ip 10.55.0.32/24 "
        f'--node-name="{MINION}" '
        "--default-gw 10.55.0.254 --rampout-ip-subnets=192.168.2.0/24",
    ),
    # The other kind of gateway, on the NIC that the host has too.
    (
        MASTER,
        f"ovn-k8s-overlay gateway-init {CLUSTER} --bridge-interface breth0 --physical-ip 10.44.0.31/24 "
        f'--node-name="{MASTER}" '
        "--default-gw 10.44.0.1 --rampout-ip-subnets=192.168.1.0/24",
    ),
    (MASTER, "ovn-k8s-gateway-helper --physical-bridge=breth0 --physical-interface=eth0 --pidfile --detach"),
)
COMMANDS = [(host, command) for host, command in SEED if command.startswith("ovn-k8s-overlay")]


def install(host):
    """A bare host gets the distribution's packages, and the archive by scp."""
    packages = PACKAGES + (" ovn-central" if host == MASTER else "")
    on(host, f"DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends {packages}", limit=300)
    config = ROOT / ".cache" / "lab" / "ssh_config"
    subprocess.run(
        ["scp", "-q", "-F", str(config), str(ROOT / "ovn_kubernetes.pyz"), f"{host}:"], check=True, timeout=60
    )
    assert on(host, "./ovn_kubernetes.pyz install").endswith("unit ovn-k8s-host.service: enabled\n")
    assert on(host, "./ovn_kubernetes.pyz install; systemctl is-enabled ovn-k8s-host") == "enabled\n"


@pytest.fixture(scope="module")
def built():
    """The hosts after the seed's commands."""
    subprocess.run(
        [ROOT / "tests" / "tools" / "build-archive", ROOT / "ovn_kubernetes.pyz"],
        check=True,
        capture_output=True,
        timeout=120,
    )
    lab("up", "--fresh", *HOSTS)
    lab("up", "ovn-outside")
    try:
        with ThreadPoolExecutor() as together:
            list(together.map(install, HOSTS))
        on(MASTER, "ovn-nbctl set-connection ptcp:6641; ovn-sbctl set-connection ptcp:6642")
        on(
            MINION,
            (
                "ovs-vsctl set Open_vSwitch . external_ids:ovn-nb=tcp:10.44.0.31:6641 "
                "external_ids:ovn-remote=tcp:10.44.0.31:6642"
            ),
        )
        for host, command in SEED:
            on(host, command)
        yield
    finally:
        lab("down", *HOSTS)


def seen():
    """All that commands change."""
    files = (
        "stat --format='%n %Y %a' /etc/ovn-kubernetes/* /usr/local/bin/ovn-k8s-*; "
        "ovs-vsctl get Open_vSwitch . external_ids"
    )
    return northbound(MASTER), [network(host) for host in HOSTS], [on(host, files) for host in HOSTS]


def test_pods_reach_each_other_and_the_outside(built):
    """Protects: the overlay that the original's commands build carries traffic.

    It leads out through either kind of gateway, the one that a pod is pinned to.
    """
    pods = [Pod(MASTER, "pod1", 101, MASTER), Pod(MINION, "pod2", 102, MASTER)]
    try:
        pods[0].reaches(pods[1].ip)
        pods[1].reaches(pods[0].ip)
        on("ovn-outside", f"systemd-run --unit=ask-commands --collect {SERVER.format(port=PORT)}", check=False)
        for pod, address, seen_as in (
            (pods[0], "10.44.0.250", "10.44.0.31"),
            (pods[1], "10.55.0.254", "10.55.0.32"),
            (pods[1], "203.0.113.1", "10.55.0.32"),
        ):
            answer = wait(
                lambda pod=pod, address=address: pod.run(
                    ASK.format(address=address, port=PORT), check=False
                ).stdout.strip(),
                30,
                f"{pod.name}'s way to {address}",
            )
            assert answer == seen_as
    finally:
        on("ovn-outside", "systemctl stop ask-commands", check=False)
        for pod in pods:
            pod.remove()


def test_run_again_they_change_nothing(built):
    """Protects: databases, kernel and files are the same to the letter, and the commands say so (1.8, W6, W7, W21)."""
    before = seen()
    for host, command in COMMANDS:
        assert on(host, command) == "Initialization complete.\n"
        assert on(host, command + " --dry-run") == "Nothing to change.\n"
    assert seen() == before


def test_the_token_is_for_root_alone(built):
    """Protects W14, the token: mode 0600, and nowhere else on the host."""
    assert on(
        MINION, "grep -rl s3cret /etc/ovn-kubernetes; stat -c %a /etc/ovn-kubernetes/kubernetes-node.token"
    ).split() == ["/etc/ovn-kubernetes/kubernetes-node.token", "600"]
    assert on(MINION, "journalctl -u ovn-k8s-host | grep -c s3cret || :").strip() == "0"


def test_after_a_boot_all_is_back(built):
    """Protects: what the kernel forgets comes back without a command (W21)."""
    on(MASTER, "ovs-appctl -t ovn-k8s-gateway-helper exit && systemctl enable --now ovn-k8s-gateway-helper")
    lab("restart", *HOSTS)
    for host, command in COMMANDS:
        wait(
            lambda host=host, command=command: (
                on(host, command + " --dry-run", check=False).stdout == "Nothing to change.\n"
            ),
            60,
            f"{host} after its boot",
        )
    pod = Pod(MASTER, "pod1", 101, MASTER)
    try:
        pod.reaches("192.168.2.2")
        pod.reaches("10.44.0.250")
    finally:
        pod.remove()


def test_w22_a_nic_goes_and_comes_back(built):
    """Protects the host: an unconfirmed change is rolled back by itself, a confirmed one stays.

    The inverse command restores what there was; a wrong NIC changes nothing.
    """
    before = network(MASTER)
    assert "Run within 5 s" in on(MASTER, "ovn-k8s-util nics-to-bridge eth1 --timeout 5")
    wait(lambda: "breth1" not in on(MASTER, "ip -br link"), 30, "the NIC rolled back")
    wait(lambda: network(MASTER) == before, 30, "the host as before")
    late = on(MASTER, "ovn-k8s-util confirm", check=False)
    assert late.returncode == 1 and "can't be confirmed any more" in late.stderr
    assert on(MASTER, "ovn-k8s-util nics-to-bridge eth1 --yes").endswith("Confirmed.\n")
    there = network(MASTER)
    assert any("breth1" in line and "10.55.0.31/24" in line for line in there[0])
    assert on(MASTER, "ovn-k8s-util nics-to-bridge eth1 --yes") == "Nothing to change.\n"
    assert network(MASTER) == there
    assert on(MASTER, "ovn-k8s-util bridges-to-nic breth1 --yes").endswith("Confirmed.\n")
    assert network(MASTER) == before
    refused = on(MASTER, "ovn-k8s-util nics-to-bridge eth7 --yes", check=False)
    assert refused.returncode == 1 and "eth7" in refused.stderr and refused.stderr.count("\n") == 1
    assert network(MASTER) == before
