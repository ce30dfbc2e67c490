# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The command line of ``ovn-k8s-overlay``: the flags, as the original spelled them."""

from __future__ import annotations

import argparse

from .._common import names
from . import version

DESCRIPTION = "Make this host a master, a node or a gateway of the OVN overlay."
EXAMPLES = """examples:
  on the master:
    ovs-vsctl set Open_vSwitch . external_ids:k8s-api-server="127.0.0.1:8080"
    ovn-k8s-overlay master-init --cluster-ip-subnet=192.168.0.0/16 --master-switch-subnet=192.168.1.0/24 \\
        --node-name=kube-master

  on a node:
    ovs-vsctl set Open_vSwitch . external_ids:ovn-nb=tcp:10.0.0.1:6641 external_ids:ovn-remote=tcp:10.0.0.1:6642
    ovn-k8s-overlay minion-init --cluster-ip-subnet=192.168.0.0/16 --minion-switch-subnet=192.168.2.0/24 \\
        --node-name=kube-minion1

  on a gateway, with a NIC of its own:
    ovn-k8s-overlay gateway-init --cluster-ip-subnet=192.168.0.0/16 --physical-interface eth1 \\
        --physical-ip 10.33.74.138/24 --node-name=kube-minion2 --default-gw 10.33.74.253

Each is safe to run again: it changes only what differs. Exit status: 0 done, or nothing to do; 1 failed, with one
sentence; 2 wrong usage.

These commands write the Northbound database from each host (external_ids:ovn-nb). The playbook ovn.kubernetes.site
writes it on the master alone, so that nodes need no access to it.
"""
COMMANDS = {
    "master-init": "Make the cluster's overlay, and this host a node of it.",
    "minion-init": "Make this host a node of the overlay.",
    "gateway-init": "Connect the overlay to the physical network through this host.",
}
SUBNET_FLAGS = {"master-init": "--master-switch-subnet", "minion-init": "--minion-switch-subnet"}


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    program = argparse.ArgumentParser(
        prog="ovn-k8s-overlay",
        description=DESCRIPTION,
        epilog=EXAMPLES,
        allow_abbrev=False,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    version.add_option(program)
    commands = program.add_subparsers(dest="command", required=True, metavar=" | ".join(COMMANDS))
    for name, description in COMMANDS.items():
        command = commands.add_parser(
            name,
            help=description,
            description=description,
            epilog=EXAMPLES,
            allow_abbrev=False,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        command.add_argument(
            "--cluster-ip-subnet",
            required=True,
            type=_split,
            metavar="SUBNET[,SUBNET]",
            help="the pods' network of the whole cluster; one IPv4 and one IPv6 network for dual stack",
        )
        command.add_argument("--node-name", required=True, help="Kubernetes' name of this host")
        if name in SUBNET_FLAGS:
            _add_node_flags(command, SUBNET_FLAGS[name])
        else:
            _add_gateway_flags(command)
        _add_database_flags(command)
    return program


def _add_node_flags(command: argparse.ArgumentParser, subnet_flag: str) -> None:
    """Add the flags of master-init and minion-init."""
    command.add_argument(
        subnet_flag,
        required=True,
        dest="switch_subnet",
        type=_split,
        metavar="SUBNET[,SUBNET]",
        help="the subnet of this host's pods",
    )
    command.add_argument(
        "--timeout",
        type=int,
        default=30,
        metavar="SECONDS",
        help="until the move of a NIC for the tunnels is rolled back, when the default route's router or the "
        "Northbound database do not answer any more (default: %(default)s)",
    )
    command.add_argument("--yes", action="store_true", help="do not check whether they answer")
    command.add_argument(
        "--service-ip-subnet",
        type=_split,
        default=[],
        metavar="SUBNET[,SUBNET]",
        help="the API server's --service-cluster-ip-range: this host's own connections to services use the overlay",
    )


def _add_gateway_flags(command: argparse.ArgumentParser) -> None:
    """Add the flags of gateway-init."""
    command.add_argument(
        "--physical-ip",
        required=True,
        type=_split,
        metavar="IP/PREFIX[,...]",
        help="the gateway's address on the physical network",
    )
    nic = command.add_mutually_exclusive_group(required=True)
    nic.add_argument("--physical-interface", metavar="NIC", help="the NIC that is the gateway's alone")
    nic.add_argument(
        "--bridge-interface",
        metavar="BRIDGE",
        help="the bridge whose NIC host and pods share (ovn-k8s-util nics-to-bridge)",
    )
    command.add_argument(
        "--default-gw",
        type=_split,
        default=[],
        metavar="IP[,IP]",
        help="the external router; without one no default traffic uses this gateway",
    )
    command.add_argument(
        "--rampout-ip-subnets",
        type=_split,
        default=[],
        metavar="SUBNET[,SUBNET]",
        help="subnets of pods whose traffic to the physical network uses this gateway only",
    )


def _add_database_flags(command: argparse.ArgumentParser) -> None:
    """Add the flags about databases, and --dry-run."""
    for flag, what in (
        ("--nb-privkey", "private key"),
        ("--nb-cert", "certificate"),
        ("--nb-cacert", "certificate authority's certificate"),
    ):
        command.add_argument(flag, metavar="FILE", help=f"the {what} for a Northbound database at ssl:")
    command.add_argument(
        "--db", default=names.LOCAL_SOCKET, help="where this host's Open_vSwitch database is (default: %(default)s)"
    )
    command.add_argument("--dry-run", action="store_true", help="show what would be done, change nothing")


def _split(text: str) -> list[str]:
    """Return the members of a comma-separated text."""
    return [item.strip() for item in text.split(",")]
