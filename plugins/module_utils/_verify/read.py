# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Read what stays as it is on this host until somebody mends it: packages, files, tokens, the host's own parts, pods'
interfaces."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

from .._common import names
from .._common.errors import DatabaseError, HostError, OvnKubernetesError
from .._common.files import read_file
from .._host import central_ports, facts
from .._host.packages import installed
from .._nic.journal import host_journal
from .._nic.moved import moved_nic, moved_nics
from .._ovsdb.connection import Connection
from .._ovsdb.converge import read_rows
from .._ovsdb.rows import Query, includes
from .._pods.cni import conflist
from .._pods.interface import OWNER_TYPE
from .._topology.foreign import read_bridge
from .._topology.host import Host
from . import kube_proxy
from .digest import digest
from .facts import Compared, ExpectedFile, FileState, Lasting, PodLink

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from typing import Any

    from .._common.result import Operation
    from .._topology.user_settings import Setting
    from .facts import Expected

    Run = Callable[[list[str]], "tuple[int, str, str]"]
    Plan = Callable[[], "tuple[Sequence[Operation], Sequence[str]]"]

TIMEOUT = 3.0  # seconds for one database
PODS = {names.OWNER_CONTROLLER: names.CONTROLLER, names.OWNER_TYPE: OWNER_TYPE}


def read_lasting(expected: Expected, run: Run, remote: str = names.LOCAL_SOCKET) -> tuple[Lasting, dict[str, Any]]:
    """Return what this host has, and facts about it that the controller compares between hosts.

    :param run: runs a command; only of the package manager.
    :param remote: the host's Open_vSwitch database.
    """
    shared: dict[str, Any] = {}
    problem, pods = _pods(remote)
    node = gateway = Compared()
    saved = saved_settings(names.NODE_SETTINGS)
    if not problem:
        host = Host(remote, check=True)
        wanted = expected.node or saved
        if wanted:
            node = _compared(lambda: _plan_node(host, wanted or {}, shared, expected.user_settings))
        if expected.is_gateway:
            gateway = _compared(lambda: _plan_gateway(host, expected, shared))
    ports = expected.central_ports
    tokens = [ExpectedFile(token.path) for token in expected.tokens]
    lasting = Lasting(
        packages=installed(expected.packages, run),
        files={file.path: _file(file) for file in (*expected.files, *tokens)},
        tokens={token.path: text_of(token.path).strip() for token in expected.tokens},
        open_vswitch=problem,
        node=node,
        gateway=gateway,
        central_ports=_compared(lambda: (central_ports.plan(ports), ())) if ports else Compared(),
        mtu=(saved or {}).get("mtu"),
        pod_links=_pod_links(pods),
        bridge_addresses=_bridge_addresses(expected),
        controllers={} if problem else _controllers(expected, remote),
        left_out=_left_out(),
        earlier_configurations=conflist.earlier(names.CNI_CONFIGURATION) if expected.serves_pods else (),
        lost_plugins=_lost_plugins() if expected.serves_pods else (),
        kube_proxy=kube_proxy.signs() if expected.serves_pods else (),
        unfinished=_unfinished(),
    )
    return lasting, shared


def _compared(plan: Plan) -> Compared:
    """Return a part's plan, or why there is none."""
    try:
        operations, notes = plan()
    except (OvnKubernetesError, OSError) as error:
        return Compared(problem=str(error))
    return Compared(operations, "; ".join(notes))


def _plan_node(
    host: Host, settings: Mapping[str, Any], shared: dict[str, Any], user_settings: Sequence[Setting] | None
) -> tuple[Sequence[Operation], Sequence[str]]:
    """Return the plan of the node's part, and notes on what it does not show."""
    result = host.node(settings)
    shared.update({key: result.facts[key] for key in ("chassis", "mtu")})
    differing = [] if user_settings is None else host.differing_settings(user_settings)
    return [*_without_commands(result.plan), *differing], result.notes


def _plan_gateway(host: Host, expected: Expected, shared: dict[str, Any]) -> tuple[Sequence[Operation], Sequence[str]]:
    """Return the plan of the gateway's part, with that of the NICs that it shares, or shared before."""
    settings = expected.gateway or saved_settings(names.GATEWAY_SETTINGS)
    if settings is None:
        return (), ()
    nic = expected.shared_nic
    moves: list[Operation] = []
    if nic:
        moves += host.uplinks([nic], True, "gateway", settings.get("datapath_type")).plan
    moves += host.uplinks([one for one in moved_nics("gateway") if one != nic], False, "gateway").plan
    result = host.gateway(settings)
    shared.update({fact: result.facts.get(fact) for fact in ("physical_mac", "physical_mtu")})
    return [*moves, *result.plan], result.notes


def _without_commands(plan: Iterable[Operation]) -> Sequence[Operation]:
    """Return a plan without the removal of commands whose archive is missing: the site play brings it first."""
    if os.path.exists(names.ARCHIVE):
        return list(plan)
    return [
        operation
        for operation in plan
        if not str(operation.as_dict().get("path", "")).startswith(f"{names.COMMANDS_DIRECTORY}/")
    ]


def saved_settings(path: str) -> dict[str, Any] | None:
    """Return settings that an earlier run has saved; None: there are none that can be read."""
    try:
        content = json.loads(text_of(path))
    except ValueError:
        return None
    return content if isinstance(content, dict) else None


def text_of(path: str) -> str:
    """Return a file's text; empty where there is none that can be read."""
    try:
        file = read_file(path)
    except OSError:
        return ""
    return file.content if file else ""


def _file(expected: ExpectedFile) -> FileState | None:
    try:
        file = read_file(expected.path)
        owner = os.stat(expected.path).st_uid if file else 0
    except OSError:
        return FileState("", 0)  # a directory, for example: it is there, and it is not what it should be
    if file is None:
        return None
    return FileState(digest(file.content), file.mode, file.content if expected.block else "", owner)


def _lost_plugins() -> list[str]:
    """Return plugins that others have added to the node server's configuration, and that are not there."""
    return [
        one
        for one in conflist.added(text_of(names.CNI_CONFIGURATION))
        if not os.access(os.path.join(names.PLUGINS_DIRECTORY, one), os.X_OK)
    ]


def _pods(remote: str) -> tuple[str, dict[str, str]]:
    """Return why Open vSwitch's database can't be read, and the links of the pods: link -> pod."""
    query = Query("Interface", (includes("external_ids", PODS),), ("name", "external_ids"))
    try:
        connection = Connection(remote, names.LOCAL, TIMEOUT)
        try:
            rows = read_rows(connection, [query])
        finally:
            connection.close()
    except DatabaseError as error:
        return str(error), {}
    return "", {str(row.name): (row.external_id("iface-id") or "").replace("_", "/", 1) for row in rows}


def _pod_links(pods: Mapping[str, str]) -> tuple[PodLink, ...]:
    try:
        mtus = {link: facts.link_mtu(link) for link in pods}
    except HostError:
        return ()  # the comparison of the node's part says why
    return tuple(PodLink(pods[link], mtu) for link, mtu in mtus.items() if mtu is not None)


def _unfinished() -> str:
    """Return what of a change of NICs could not be rolled back; empty: nothing."""
    try:
        change = host_journal().pending()
    except HostError as error:
        return str(error)
    if change is None or not change.left:
        return ""
    return f"a change of the NICs {change.names} ({change.reason}) could not be rolled back completely: {change.left}"


def _left_out() -> dict[str, Sequence[str]]:
    try:
        kept = {names.uplink_bridge(nic): moved_nic(nic) for nic in moved_nics()}
    except (HostError, OSError):
        return {}  # the comparison of the host's own part says why
    return {bridge: moved.left_out for bridge, moved in kept.items() if moved and moved.left_out}


def _bridge_addresses(expected: Expected) -> dict[str, Sequence[str]]:
    nic = (expected.gateway or {}).get("nic")
    if not nic:
        return {}
    bridge = names.uplink_bridge(nic)
    try:
        return {bridge: facts.configured_addresses(bridge)}
    except HostError:
        return {}


def _controllers(expected: Expected, remote: str) -> dict[str, Sequence[str]]:
    """Return the OpenFlow controllers of the bridges that the overlay uses."""
    gateway = expected.gateway or {}
    uplink = names.uplink_bridge(gateway["nic"]) if gateway.get("nic") else gateway.get("bridge")
    try:
        connection = Connection(remote, names.LOCAL, TIMEOUT)
        try:
            bridges = [read_bridge(connection, name) for name in (names.INTEGRATION_BRIDGE, uplink) if name]
        finally:
            connection.close()
    except DatabaseError:
        return {}  # said already
    return {bridge.name: bridge.controllers for bridge in bridges if bridge and bridge.controllers}
