# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Hosts whose NICs a network manager configures, one host for each manager, and what is looked at on them.

On each host eth0, which carries the connection, has static addresses, and eth1 a leased one. All hosts go through the
same steps at the same time.
"""

from __future__ import annotations

import json
import re
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import ansible_calls
import pytest
from lab_hosts import ROOT, lab, on, wait

DHCP_SERVER = "ovn-outside"
LEASES = "/run/lab-leases"
# Leases hold for ten minutes, and are renewed each 20 seconds, or a little later where nobody answered.
RANGE, OTHER_RANGE = "10.55.0.200,10.55.0.219", "10.55.0.220,10.55.0.240"
SERVE = f"""systemd-run --quiet --unit lab-dhcp dnsmasq --keep-in-foreground --port=0 --interface=eth1 \
    --bind-interfaces --no-ping --dhcp-option=option:T1,20 --dhcp-option=option:T2,40 \
--dhcp-range={RANGE},255.255.255.0,10m \
    --dhcp-option=3,10.55.0.254 --dhcp-option=6,10.55.0.254 \
--dhcp-option=121,198.51.101.0/24,10.55.0.254,0.0.0.0/0,10.55.0.254 --dhcp-leasefile={LEASES}"""
# The same server after all its leases have ended, and are other hosts' by now.
SERVE_OTHERS = SERVE.replace(RANGE, OTHER_RANGE) + " --dhcp-authoritative"
NETWORK = (
    "ip -o address show scope global; ip route show table all; ip -6 route show table all; ip rule; "
    "cat /etc/resolv.conf"
)
DATABASE = "ovs-vsctl " + " -- ".join(
    f"--columns=name,{columns}external_ids,other_config list {table}"
    for table, columns in (("Bridge", ""), ("Port", ""), ("Interface", "type,"))
)
PACKAGES = "openvswitch-switch python3-openvswitch python3-pyroute2 python3-nftables python3-jeepney"
# Without udev in a container, networkd and NetworkManager take links as they are when they may not write to /sys.
WITHOUT_UDEV = """
for unit in systemd-networkd NetworkManager; do
    mkdir -p /etc/systemd/system/$unit.service.d
    printf '[Service]\nBindReadOnlyPaths=/sys\n' >/etc/systemd/system/$unit.service.d/lab.conf
done"""


@dataclass
class Machine:
    """A host and its manager.

    :ivar setup: shell commands that configure the manager; {number} is the last number of the host's addresses.
    :ivar serves: shell commands that tell for which links the manager cares, and how far it has got.
    :ivar ours: files that are to be there while the NICs are in their bridges, and gone afterwards; ``edited``: those
        that get their old text back.
    """

    name: str
    packages: str
    setup: str
    serves: str
    ours: tuple = ()
    edited: tuple = ()
    seen: dict = field(default_factory=dict)

    @property
    def number(self):
        return 10 + int(self.name.removeprefix("ovn-node"))

    @property
    def addresses(self):
        """The address of each family that carries connections."""
        return f"10.44.0.{self.number}", f"fd44::{self.number}"

    @property
    def everything(self):
        """A shell command that tells all that a change touches."""
        return (
            f"{NETWORK}; {DATABASE}; find /etc/ovn-kubernetes -type f; ls {' '.join(self.ours)} 2>/dev/null; "
            f"cat {' '.join(self.edited)} /dev/null; "
            "cd /sys/class/net; for link in *; do read -r flags <$link/flags; echo $link $flags; done; "
            f"nft list ruleset; {self.serves}"
        )


# eth0 by netplan, eth1 by a file of one's own, as they are found together.
NETWORKD = """
systemctl unmask systemd-networkd.service; systemctl enable systemd-networkd.service
cat >/etc/netplan/50-cloud-init.yaml <<'FILE'
network:
  version: 2
  renderer: networkd
  ethernets:
    eth0:
      addresses: [10.44.0.{number}/24, 10.44.0.1{number}/24, "fd44::{number}/64"]
      routes: [{to: default, via: 10.44.0.1}, {to: default, via: "fd44::1"}, \
{to: 198.51.100.0/24, via: 10.44.0.250, metric: 50}]
      routing-policy: [{from: 10.44.0.1{number}, table: 100, priority: 500}]
      accept-ra: false
FILE
chmod 600 /etc/netplan/*; netplan generate
cat >/etc/systemd/network/20-leased.network <<'FILE'
[Match]
Name=eth1

[Network]
DHCP=ipv4
Address=fd55::{number}/64
IPv6AcceptRA=no
FILE"""
IFUPDOWN = """
cat >/etc/network/interfaces.d/eth0 <<'FILE'
# What an installer writes.
allow-hotplug eth0
auto eth0
iface eth0 inet static
    address 10.44.0.{number}/24
    gateway 10.44.0.1
    dns-nameservers 10.44.0.1
    up ip route add 198.51.100.0/24 via 10.44.0.250 dev eth0 metric 50

iface eth0 inet static
    address 10.44.0.1{number}/24

iface eth0 inet6 static
    address fd44::{number}/64
    gateway fd44::1
    dad-attempts 0
FILE
cat >/etc/network/interfaces.d/eth1 <<'FILE'
auto eth1
iface eth1 inet dhcp

iface eth1 inet6 static
    address fd55::{number}/64
    dad-attempts 0
FILE
systemctl enable networking.service"""
NETWORK_MANAGER = """
cat >/etc/NetworkManager/system-connections/uplink.nmconnection <<'FILE'
[connection]
id=uplink
type=ethernet
interface-name=eth0

[ipv4]
method=manual
address1=10.44.0.{number}/24,10.44.0.1
address2=10.44.0.1{number}/24
dns=10.44.0.1;
dns-search=lab.example;
route1=198.51.100.0/24,10.44.0.250,50

[ipv6]
method=manual
address1=fd44::{number}/64,fd44::1
FILE
cat >/etc/NetworkManager/system-connections/leased.nmconnection <<'FILE'
[connection]
id=leased
type=ethernet
interface-name=eth1

[ipv4]
method=auto
may-fail=false
route-metric=200

[ipv6]
method=manual
address1=fd55::{number}/64
FILE
chmod 600 /etc/NetworkManager/system-connections/*
printf '[main]\nno-auto-default=*\n' >/etc/NetworkManager/conf.d/10-lab.conf
systemctl enable NetworkManager.service"""
MACHINES = [
    Machine(
        "ovn-node31",
        "netplan.io",
        NETWORKD,
        "networkctl --no-legend list '*eth*' | awk '{print $2, $4, $5}'",
        ours=(
            *(
                f"/etc/systemd/network/00-ovn-kubernetes-{link}.network"
                for link in ("eth0", "breth0", "eth1", "breth1")
            ),
            "/etc/systemd/system/systemd-networkd-wait-online.service.d/20-ovn-kubernetes-eth0.conf",
        ),
    ),
    Machine(
        "ovn-node32",
        "ifupdown isc-dhcp-client",
        IFUPDOWN,
        # Scripts of a renewal, which may run at any moment, are not children of the first process.
        "grep eth /run/network/ifstate; pgrep -xaP 1 dhclient | sed 's/.* /dhclient for /'",
        edited=("/etc/network/interfaces.d/eth0", "/etc/network/interfaces.d/eth1"),
    ),
    Machine(
        "ovn-node33",
        "network-manager",
        NETWORK_MANAGER,
        "nmcli -t -f device,state,connection device | grep eth",
        ours=tuple(f"/etc/NetworkManager/conf.d/90-ovn-kubernetes-{nic}.conf" for nic in ("eth0", "eth1")),
    ),
]
IDS = ["networkd", "ifupdown", "network-manager"]
NAMES = [machine.name for machine in MACHINES]


def together(work):
    """Do it for all machines at once."""
    with ThreadPoolExecutor(len(MACHINES)) as pool:
        return list(pool.map(work, MACHINES))


def restart():
    """Switch all off and on; that ssh answers again is the first thing that is seen."""
    lab("restart", *NAMES, limit=300)


def network(machine):
    """Addresses, routes, rules and resolvers of a host, with links' names left out; times that run, too."""
    return constant(on(machine.name, NETWORK))


def constant(text):
    """Lines that can be compared."""
    # Each manager sets link-local networks and the kernel's own routes its own way; the overlay's link is not the
    # manager's.
    for pattern, instead in (
        (r"\d+sec", "limited"),
        (r"^\d+: ", ""),
        (r"\b(br)?eth(?=\d)", "link"),
        (r"^.*(fe80::|ff00::|table local|k8s-ovn).*$", ""),
        (r" tentative", ""),
    ):
        text = re.sub(pattern, instead, text, flags=re.M)
    return sorted(line.strip() for line in text.splitlines() if line.strip())


def database(machine):
    """What Open vSwitch is told to have."""
    return on(machine.name, DATABASE)


def everything(machine):
    """All that a change touches, and for which NICs the manager cares."""
    return constant(on(machine.name, machine.everything))


def settled(machine, seconds=60, look=network, before=None, what=None):
    """Wait until the host has what it had before.

    DHCP, router discovery and duplicate address detection take a moment.
    """
    before = before or machine.seen["network"]
    try:
        wait(lambda: look(machine) == before, seconds, machine.name, pause=1)
    except AssertionError:
        after = look(machine)
        added, lost = [line for line in after if line not in before], [line for line in before if line not in after]
        assert (added, lost, len(after)) == ([], [], len(before)), f"{what or machine.name}: new {added}, lost {lost}"


def renewed(machine):
    """Wait until the DHCP server hears of the host's client again."""
    seconds = _until(machine)
    wait(lambda: _until(machine) > seconds, 90, f"{machine.name} to renew its lease", pause=1)


def _until(machine):
    return max(int(line.split()[0]) for line in _lines_of_leases(machine))


def lease(machine):
    """The address and the client identifier that the server knows of the host."""
    return [line.split()[2:3] + line.split()[4:] for line in _lines_of_leases(machine)]


def _lines_of_leases(machine):
    mac = f"02:44:0a:37:00:{machine.number:02x}"
    return [line for line in on(DHCP_SERVER, f"cat {LEASES}").splitlines() if mac in line]


def files(machine):
    """Texts of the files that are edited, and which of ours are there."""
    there = on(machine.name, f"ls /nonexistent {' '.join(machine.ours)} 2>/dev/null", check=False).stdout.split()
    return [on(machine.name, f"cat {path}") for path in machine.edited], there


def move(*arguments):
    """nics_to_bridge on all machines at once; host -> answer."""
    return call(NAMES, "nics=eth0,eth1", "rollback_timeout=60", *arguments)


def call(hosts, *arguments, options=(), good=True, module="nics_to_bridge"):
    """A module on some machines; host -> answer."""
    with tempfile.TemporaryDirectory() as folder:
        code, output = ansible_calls.run(
            "ansible",
            "all",
            "-i",
            ",".join(hosts) + ",",
            "-f",
            str(len(hosts)),
            "-e",
            "ansible_python_interpreter=/usr/bin/python3",
            "--tree",
            folder,
            f"--ssh-common-args=-F {ROOT / '.cache/lab/ssh_config'}",
            "-m",
            f"ovn.kubernetes.{module}",
            *options,
            "-a",
            " ".join(arguments),
            limit=240,
        )
        assert (code == 0) is good, output
        answers = {}
        for name in hosts:
            with open(f"{folder}/{name}", encoding="utf-8") as result:
                answers[name] = json.load(result)
    return answers


def gateway(*arguments, good=True):
    """The gateway with a NIC of its own, eth1, on all machines at once; host -> answer."""
    return call(
        NAMES,
        "part=host node_name={{inventory_hostname}} datapath_type=netdev",
        *arguments,
        good=good,
        module="ovn_gateway",
    )


def stop_serving():
    """End the DHCP server, whether it runs or not; what it has leased is forgotten."""
    on(DHCP_SERVER, f"systemctl stop lab-dhcp; rm -f {LEASES}", check=False)


def switched_on():
    """Switch all machines on with their managers; what each has before anything moves is kept of it."""
    lab("up", "--fresh", *NAMES, limit=600)
    lab("up", DHCP_SERVER, limit=600)
    install = "DEBIAN_FRONTEND=noninteractive apt-get install --yes --quiet --no-install-recommends {} >/dev/null 2>&1"
    on(DHCP_SERVER, install.format("dnsmasq-base"), limit=300)
    stop_serving()
    on(DHCP_SERVER, SERVE)

    def prepare(machine):
        commands = machine.setup.replace("{number}", str(machine.number))
        steps = (
            "set -e",
            WITHOUT_UDEV,
            install.format(f"{PACKAGES} {machine.packages}"),
            commands,
            "touch /etc/lab-bare-nics",
        )
        on(machine.name, "\n".join(steps), limit=300)

    together(prepare)
    restart()
    for machine in MACHINES:
        wait(lambda machine=machine: lease(machine), 20, f"a lease for {machine.name}")
        wait(
            lambda machine=machine: "tentative" not in on(machine.name, "ip address"), 10, "addresses that may be used"
        )
        machine.seen = {
            "network": network(machine),
            "lease": lease(machine),
            "files": files(machine),
            "database": database(machine),
        }


each = pytest.mark.parametrize("machine", MACHINES, ids=IDS)


def is_as_before(machine):
    """Addresses, routes, rules, resolvers, and for the DHCP server still the same client."""
    settled(machine)
    assert lease(machine) == machine.seen["lease"]
    on(machine.name, "for to in 10.44.0.250 fd44::250 fd55::254; do ping -c 3 -i .3 -W 5 $to || exit; done")


def is_in_bridges(machine):
    """Each NIC is a port of its bridge and has no address."""
    assert on(machine.name, "ovs-vsctl port-to-br eth0; ovs-vsctl port-to-br eth1").split() == ["breth0", "breth1"]
    addresses = on(
        machine.name,
        "for nic in eth0 eth1; do ip -4 address show dev $nic; ip -6 address show dev $nic scope global; done",
    )
    assert "inet" not in addresses, addresses
