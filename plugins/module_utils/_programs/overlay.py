# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""``ovn-k8s-overlay``: the original's commands that make this host a master, a node or a gateway."""

from __future__ import annotations

import uuid
from dataclasses import replace
from typing import TYPE_CHECKING

from .._common import addressing, names
from .._common.errors import DatabaseError, HostError
from .._host import facts
from .._host.converge import converge_state
from .._host.desired import HostState
from .._nic import checkpoint
from .._nic.reachability import ReachabilityCheck
from .._ovsdb.connection import Connection
from .._topology import host as host_module
from .._topology import options as topology_options
from .._topology.cluster import Cluster
from .._topology.gateway_checks import missing_next_hops
from .._topology.node import Node
from .._topology.northbound import Northbound
from .._topology.overlay import Overlay
from . import legacy_settings
from .overlay_arguments import parser
from .result import note_disabled_unit, run_command

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from typing import Any

    from .._common.result import Result
    from .._host.desired import File
    from .._nic.plan import Change
    from .._topology.gateway import Gateway
    from .legacy_settings import LegacySettings

ANSWER_TIMEOUT = 3.0  # seconds for the Northbound database to answer after a NIC has moved


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program. Return its exit status."""
    options = parser().parse_args(arguments)
    return run_command(f"ovn-k8s-overlay {options.command}", lambda notes: _run(options, notes), options.dry_run)


def _run(options: argparse.Namespace, notes: list[str]) -> Iterator[Result]:
    """Run the command, and yield its results."""
    yield from COMMANDS[options.command](options, notes)
    if not options.dry_run:
        note_disabled_unit(notes)


def master_init(options: argparse.Namespace, notes: list[str]) -> Iterator[Result]:
    """Make the cluster, and the master a node of it."""
    settings = legacy_settings.read(options.db)
    files = legacy_settings.access_files(
        settings, names.WATCHER_ACCESS, names.WATCHER_TOKEN, service_subnets=options.service_ip_subnet
    )
    return _converge_node(options, notes, settings, files, Cluster(tuple(options.cluster_ip_subnet)))


def minion_init(options: argparse.Namespace, notes: list[str]) -> Iterator[Result]:
    """Make a node."""
    settings = legacy_settings.read(options.db)
    files = legacy_settings.access_files(settings, names.NODE_ACCESS, names.NODE_TOKEN)
    return _converge_node(options, notes, settings, files)


def _converge_node(
    options: argparse.Namespace,
    notes: list[str],
    settings: LegacySettings,
    files: tuple[File, ...],
    cluster: Cluster | None = None,
) -> Iterator[Result]:
    """Converge a node's rows and its host's part, with the cluster's rows on the master."""
    checkpoint.check_timeout("--timeout", options.timeout)
    for subnet in options.service_ip_subnet:
        addressing.network(subnet, "service_ip_subnet")
    northbound = _northbound(options, settings)
    host = host_module.Host(options.db, options.dry_run, NicMover(options, notes, settings).move)
    node = Node(options.node_name, tuple(options.switch_subnet), tuple(options.cluster_ip_subnet), host.chassis())
    overlay = Overlay(cluster=cluster, nodes=(node,), former=host.former())
    northbound.preflight(overlay)
    node_settings = _node_settings(options, settings, host, node)
    if files and not options.service_ip_subnet and "routes" not in node_settings:
        notes.append(
            "this host does not know the services' network, so its own connections to them find no way: "
            "give --service-ip-subnet"
        )
    node_settings.setdefault("routes", [*options.service_ip_subnet, *Cluster(node.cluster_subnets).joins()])
    yield host.node(node_settings)
    yield northbound.converge(overlay)
    yield converge_state(HostState(files=files), options.dry_run)
    if "k8s-api-token" in settings.keys and not options.dry_run:
        notes.append(
            "the token is in a file that only root can read now; remove it from the database, where others can read "
            "it: ovs-vsctl remove Open_vSwitch . external_ids k8s-api-token"
        )


def _node_settings(
    options: argparse.Namespace, settings: LegacySettings, host: host_module.Host, node: Node
) -> dict[str, Any]:
    """Return the settings of the host's part: what the command does not say stays as it was saved.

    Without ``routes`` the caller sets those of a new node.
    """
    saved = legacy_settings.read_saved(names.NODE_SETTINGS)
    saved.update(
        name=node.name,
        subnets=options.switch_subnet,
        cluster_subnets=options.cluster_ip_subnet,
        southbound=settings.southbound,
        encap_type=settings.encap_type,
        encap_ip=settings.keys.get("ovn-encap-ip") or host.default_address(),
        mtu=settings.mtu or saved.get("mtu"),
    )
    saved.setdefault("datapath_type", settings.keys.get("ovn-bridge-datapath-type"))
    if options.service_ip_subnet or not saved.get("routes"):
        saved.pop("routes", None)
    return saved


class NicMover:
    """Moves the NIC of the tunnels, apart from this connection, and confirms the move when those answer that answered
    before."""

    def __init__(self, options: argparse.Namespace, notes: list[str], settings: LegacySettings) -> None:
        self._options = options
        self._notes = notes
        self._settings = settings

    def move(self, plan: Callable[[], Change], nics: Sequence[str]) -> Change:
        """Carry out the change of NICs; :raises HostError: it failed, or was rolled back."""
        check: ReachabilityCheck | None = None
        change_id = uuid.uuid4().hex

        def plan_with_check() -> Change:
            nonlocal check
            change = plan()
            if change.acts and not self._options.yes:
                check = ReachabilityCheck(self._databases())
            return change

        change = checkpoint.begin(plan_with_check, nics, change_id, self._options.timeout, self._options.db)
        if not change.acts:
            return change
        if check is not None and not check:
            self._notes.append(
                f"nothing answers this host that could show whether it can still be reached after the move of "
                f"{', '.join(nics)}: look at it"
            )
        try:
            checkpoint.wait_for_end(change_id, nics, self._options.timeout, check.passes if check else lambda: True)
        except HostError as exc:
            if check and check.silent:
                raise HostError(
                    f"{exc}; {check.silent} answered before and did not any more: mend that, or give --yes"
                ) from exc
            raise
        return change

    def _databases(self) -> dict[str, Callable[[], bool]]:
        """Return the Northbound database as one that must answer, where it is on another host."""
        remote = self._settings.northbound
        tls = _tls(self._options, self._settings)

        def answers() -> bool:
            try:
                Connection(remote, names.NORTHBOUND, ANSWER_TIMEOUT, tls).close()
            except DatabaseError:
                return False
            return True

        return {} if remote.startswith("unix:") else {f"the Northbound database at {remote}": answers}


def gateway_init(options: argparse.Namespace, notes: list[str]) -> Iterator[Result]:
    """Make a gateway."""
    settings = legacy_settings.read(options.db)
    host, northbound = host_module.Host(options.db, options.dry_run), _northbound(options, settings)
    mtu = facts.link_mtu(names.management_link(names.node_name(options.node_name)))
    gateway_options = dict(vars(options), chassis=host.chassis(), physical_mac=None, physical_mtu=None, mtu=mtu)
    former = host.former()
    northbound.preflight(Overlay(gateways=(_gateway(gateway_options),), former=former))
    notes += missing_next_hops(_gateway(gateway_options))
    result = host.gateway(topology_options.gateway_host(gateway_options, options.cluster_ip_subnet))
    yield result
    gateway_options.update({fact: result.facts[fact] for fact in ("physical_mac", "physical_mtu")})
    yield northbound.converge(Overlay(gateways=(_gateway(gateway_options),), former=former))


def _gateway(options: Mapping[str, Any]) -> Gateway:
    """Return the gateway of the flags."""
    gateway = topology_options.gateway(options, options["cluster_ip_subnet"])
    return replace(gateway, pinned=tuple(options["rampout_ip_subnets"]))


def _northbound(options: argparse.Namespace, settings: LegacySettings) -> Northbound:
    """Return the Northbound database that the host's keys name."""
    tls = _tls(options, settings)
    return Northbound(
        lambda: Connection(settings.northbound, names.NORTHBOUND, tls=tls),
        f"ovn-k8s-overlay {options.command} {options.node_name}",
        options.dry_run,
    )


def _tls(options: argparse.Namespace, settings: LegacySettings) -> dict[str, str] | None:
    """Return the paths that a Northbound database at ssl: needs."""
    return settings.tls(
        {"private_key": options.nb_privkey, "certificate": options.nb_cert, "ca_cert": options.nb_cacert}
    )


COMMANDS = {"master-init": master_init, "minion-init": minion_init, "gateway-init": gateway_init}
