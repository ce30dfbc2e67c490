# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""``ovn-k8s-overlay``: the original's commands that make a master, a node and a gateway, on the host that is to be one."""

from __future__ import annotations

import argparse
import uuid
from dataclasses import replace

from .._common import addressing, names
from .._common.errors import DatabaseError, HostError
from .._host import facts
from .._host.converge import converge_state
from .._host.desired import HostState
from .._nic import checkpoint
from .._nic.reachability import ReachabilityCheck
from .._ovsdb.connection import Connection
from .._topology import host as this_host
from .._topology import options as topology_options
from .._topology.cluster import Cluster
from .._topology.node import Node
from .._topology.northbound import Northbound
from .._topology.overlay import Overlay
from . import legacy_settings as outside
from .result import after_a_boot, answer

ASKED = 3.0  # seconds for the Northbound database to answer once a NIC has moved
DESCRIPTION = "Make this host a master, a node or a gateway of the OVN overlay."
EXAMPLES = """examples:
  on the master:
    ovs-vsctl set Open_vSwitch . external_ids:k8s-api-server="127.0.0.1:8080"
    ovn-k8s-overlay master-init --cluster-ip-subnet=192.168.0.0/16 --master-switch-subnet=192.168.1.0/24 --node-name=kube-master

  on a node:
    ovs-vsctl set Open_vSwitch . external_ids:ovn-nb=tcp:10.0.0.1:6641 external_ids:ovn-remote=tcp:10.0.0.1:6642
    ovn-k8s-overlay minion-init --cluster-ip-subnet=192.168.0.0/16 --minion-switch-subnet=192.168.2.0/24 --node-name=kube-minion1

  on a gateway, with a NIC of its own:
    ovn-k8s-overlay gateway-init --cluster-ip-subnet=192.168.0.0/16 --physical-interface eth1 --physical-ip 10.33.74.138/24 \\
        --node-name=kube-minion2 --default-gw 10.33.74.253

Each is safe to run again: what is right already is left alone. Exit status: 0 done, or nothing to do; 1 failed, with one sentence; 2 wrong usage.

These commands write the Northbound database from each host (external_ids:ovn-nb). The playbook ovn.kubernetes.site writes it on the master
alone, so that nodes need no access to it.
"""


def main(arguments=None):
    """The program."""
    options = parser().parse_args(arguments)
    return answer(f"ovn-k8s-overlay {options.command}", lambda notes: _run(options, notes), options.dry_run)


def _run(options, notes):
    """The command's results."""
    yield from COMMANDS[options.command](options, notes)
    if not options.dry_run:
        after_a_boot(notes)


def parser():
    """The flags, as the original spelled them."""
    whole = argparse.ArgumentParser(
        prog="ovn-k8s-overlay",
        description=DESCRIPTION,
        epilog=EXAMPLES,
        allow_abbrev=False,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = whole.add_subparsers(dest="command", required=True, metavar="master-init | minion-init | gateway-init")
    for command, subnet in (
        ("master-init", "--master-switch-subnet"),
        ("minion-init", "--minion-switch-subnet"),
        ("gateway-init", None),
    ):
        one = commands.add_parser(
            command,
            help=HELP[command],
            description=HELP[command],
            epilog=EXAMPLES,
            allow_abbrev=False,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        one.add_argument(
            "--cluster-ip-subnet",
            required=True,
            type=_list,
            metavar="SUBNET[,SUBNET]",
            help="the pods' network of the whole cluster; one IPv4 and one IPv6 network for dual stack",
        )
        one.add_argument("--node-name", required=True, help="Kubernetes' name of this host")
        if subnet:
            one.add_argument(
                subnet,
                required=True,
                dest="switch_subnet",
                type=_list,
                metavar="SUBNET[,SUBNET]",
                help="the subnet of this host's pods",
            )
            one.add_argument(
                "--timeout",
                type=int,
                default=30,
                metavar="SECONDS",
                help="until a NIC that has moved for the tunnels is taken back when the "
                "default route's router or the Northbound database don't answer any more (default: %(default)s)",
            )
            one.add_argument("--yes", action="store_true", help="don't ask them")
        else:
            one.add_argument(
                "--physical-ip",
                required=True,
                type=_list,
                metavar="IP/PREFIX[,...]",
                help="the gateway's address outside",
            )
            nic = one.add_mutually_exclusive_group(required=True)
            nic.add_argument("--physical-interface", metavar="NIC", help="the NIC that is the gateway's alone")
            nic.add_argument(
                "--bridge-interface",
                metavar="BRIDGE",
                help="the bridge whose NIC host and pods share (ovn-k8s-util nics-to-bridge)",
            )
            one.add_argument(
                "--default-gw",
                type=_list,
                default=[],
                metavar="IP[,IP]",
                help="the router outside; without one no default traffic goes here",
            )
            one.add_argument(
                "--rampout-ip-subnets",
                type=_list,
                default=[],
                metavar="SUBNET[,SUBNET]",
                help="subnets of pods whose traffic to the outside goes through this gateway alone",
            )
        for flag, what in (
            ("--nb-privkey", "private key"),
            ("--nb-cert", "certificate"),
            ("--nb-cacert", "certificate authority's certificate"),
        ):
            one.add_argument(flag, metavar="FILE", help=f"the {what} for a Northbound database at ssl:")
        if subnet:
            one.add_argument(
                "--service-ip-subnet",
                type=_list,
                default=[],
                metavar="SUBNET[,SUBNET]",
                help="the API server's --service-cluster-ip-range: this host's own connections to services go through the overlay",
            )
        one.add_argument(
            "--db", default=names.LOCAL_SOCKET, help="where this host's Open_vSwitch database is (default: %(default)s)"
        )
        one.add_argument("--dry-run", action="store_true", help="show what would be done, change nothing")
    return whole


def master_init(options, notes):
    """The cluster, and the master as a node of it."""
    given = outside.read(options.db)
    files = outside.access_files(
        given, names.WATCHER_ACCESS, names.WATCHER_TOKEN, service_subnets=options.service_ip_subnet
    )
    return _node(options, notes, given, files, Cluster(tuple(options.cluster_ip_subnet)))


def minion_init(options, notes):
    """A node."""
    given = outside.read(options.db)
    return _node(options, notes, given, outside.access_files(given, names.NODE_ACCESS, names.NODE_TOKEN))


def _node(options, notes, given, files, cluster=None):
    """A node's rows and its host's part, with the cluster's rows when it is the master."""
    checkpoint.check_timeout("--timeout", options.timeout)
    for subnet in options.service_ip_subnet:
        addressing.network(subnet, "service_ip_subnet")
    northbound = _northbound(options, given)
    host = this_host.Host(options.db, options.dry_run, _mover(options, notes, given))
    node = Node(options.node_name, tuple(options.switch_subnet), tuple(options.cluster_ip_subnet), host.chassis())
    overlay = Overlay(cluster=cluster, nodes=(node,))
    northbound.preflight(overlay)
    settings = outside.kept(this_host.NODE_FILE)
    settings.update(
        name=options.node_name,
        subnets=options.switch_subnet,
        cluster_subnets=options.cluster_ip_subnet,
        southbound=given.southbound,
        encap_type=given.encap_type,
        encap_ip=given.keys.get("ovn-encap-ip") or host.default_address(),
        mtu=given.mtu or settings.get("mtu"),
    )
    settings.setdefault("datapath_type", given.keys.get("ovn-bridge-datapath-type"))
    if options.service_ip_subnet or not settings.get("routes"):
        settings["routes"] = [*options.service_ip_subnet, *Cluster(node.cluster_subnets).joins()]
        if files and not options.service_ip_subnet:
            notes.append(
                "this host does not know the services' network, so its own connections to them find no way: give --service-ip-subnet"
            )
    yield host.node(settings)
    yield northbound.converge(overlay)
    yield converge_state(HostState(files=files), options.dry_run)
    if "k8s-api-token" in given.keys and not options.dry_run:
        notes.append(
            "the token is in a file that only root reads now; take it out of the database, where others can read it: "
            "ovs-vsctl remove Open_vSwitch . external_ids k8s-api-token"
        )


def _mover(options, notes, given):
    """How a NIC moves: as with ovn-k8s-util, apart from the connection; the command itself confirms, once those answer who have answered before."""

    def move(plan, nics):
        way, identity = None, uuid.uuid4().hex

        def planned():
            nonlocal way
            change = plan()
            if change.acts and not options.yes:
                way = ReachabilityCheck(_database(options, given))
            return change

        change = checkpoint.begin(planned, nics, identity, options.timeout, options.db)
        if not change.acts:
            return change
        if way is not None and not way:
            notes.append(
                f"nobody answers this host who could be asked whether it is still reached now that {', '.join(nics)} has moved: look at it"
            )
        try:
            checkpoint.wait_for_end(identity, nics, options.timeout, way.passes if way else lambda: True)
        except HostError as exc:
            if way and way.silent:
                raise HostError(
                    f"{exc}; {way.silent} answered before and did not any more: mend that, or give --yes"
                ) from exc
            raise
        return change

    return move


def _database(options, given):
    """The Northbound database as one who is asked, where it is on another host."""

    def answers():
        try:
            Connection(given.northbound, names.NORTHBOUND, ASKED, _tls(options, given)).close()
        except DatabaseError:
            return False
        return True

    return {} if given.northbound.startswith("unix:") else {f"the Northbound database at {given.northbound}": answers}


def gateway_init(options, notes):
    """A gateway."""
    given = outside.read(options.db)
    host, northbound = this_host.Host(options.db, options.dry_run), _northbound(options, given)
    params = dict(
        vars(options),
        chassis=host.chassis(),
        physical_mac=None,
        mtu=facts.link_mtu(names.management_link(names.node_name(options.node_name))),
    )
    northbound.preflight(Overlay(gateways=(_gateway(params),)))
    part = host.gateway(topology_options.gateway_host(params, options.cluster_ip_subnet))
    yield part
    params["physical_mac"] = part.facts["physical_mac"]
    yield northbound.converge(Overlay(gateways=(_gateway(params),)))


def _gateway(params):
    """The gateway of the flags."""
    return replace(
        topology_options.gateway(params, params["cluster_ip_subnet"]), pinned=tuple(params["rampout_ip_subnets"])
    )


def _northbound(options, given):
    """The Northbound database that the host's keys name."""
    tls = _tls(options, given)
    return Northbound(
        lambda: Connection(given.northbound, names.NORTHBOUND, tls=tls),
        f"ovn-k8s-overlay {options.command} {options.node_name}",
        options.dry_run,
    )


def _tls(options, given):
    """The paths that a Northbound database at ssl: needs."""
    return given.tls({"private_key": options.nb_privkey, "certificate": options.nb_cert, "ca_cert": options.nb_cacert})


def _list(text):
    return [item.strip() for item in text.split(",")]


HELP = {
    "master-init": "Make the cluster's overlay, and this host a node of it.",
    "minion-init": "Make this host a node of the overlay.",
    "gateway-init": "Lead the overlay to the outside through this host.",
}
COMMANDS = {"master-init": master_init, "minion-init": minion_init, "gateway-init": gateway_init}
