# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The checks: small pure functions from what was read to what is wrong."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from .._common import names
from .._host.units import ABSENT, STARTED, plan
from .._kube.token import unusable
from .._ovsdb.plan import Change
from .._pods.cni.conflist import configuration
from . import words
from .facts import NODE_SERVER
from .finding import ERROR, WARNING, Finding
from .programs import line, readiness

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from .._common.result import Operation
    from .facts import Compared, Expected, Lasting, Passing

    LastingCheck = Callable[[Expected, Lasting], Iterable[Finding]]
    PassingCheck = Callable[[Expected, Passing], Iterable[Finding]]

FILES = {
    names.ARCHIVE: "the programs and commands of the overlay are missing or old",
    names.CNI_PLUGIN_FILE: "the runtime can't connect new pods",
    f"{names.PLUGINS_DIRECTORY}/loopback": "the runtime can't set up the loopback interface of new pods",
}
SECRET = 0o600  # mode of files that only root may read
OTHER_FILE = "the program that reads it runs with other settings, or not at all"
NEW_PODS = "the runtime can't connect new pods"


def packages(expected: Expected, lasting: Lasting) -> Iterator[Finding]:
    """Yield packages that are not installed."""
    missing = [name for name in expected.packages if lasting.packages is not None and name not in lasting.packages]
    if missing:
        text = f"not installed: {', '.join(missing)}"
        yield Finding("packages", text, "programs that need them do not run, or not after the next boot")


def files(expected: Expected, lasting: Lasting) -> Iterator[Finding]:
    """Yield files that are missing, or are not what the controller would write."""
    for file in expected.files:
        state = lasting.files.get(file.path)
        wrong = ""
        if state is None:
            wrong = "is missing"
        elif file.sha256 is not None and state.sha256 != file.sha256:
            wrong = "differs from the controller's"
        elif file.block and file.block not in state.text:
            wrong = "lacks the options of the overlay"
        elif file.mode is not None and state.mode != file.mode:
            wrong = f"has mode {state.mode:04o}, not {file.mode:04o}"
        if wrong:
            yield Finding(file.path, f"file {file.path} {wrong}", FILES.get(file.path, OTHER_FILE))


def tokens(expected: Expected, lasting: Lasting) -> Iterator[Finding]:
    """Yield tokens that are missing, can't be used, or are not root's alone. None is shown."""
    for token in expected.tokens:
        reason = unusable(lasting.tokens.get(token.path, ""), token.account or None, time.time())
        if reason:
            causes = "its program can't reach the API server: new pods and services are not connected"
            yield Finding(token.path, f"the token in {token.path} {reason}", causes)
        state = lasting.files.get(token.path)
        if state and (state.mode != SECRET or state.owner):
            has = f"mode {state.mode:04o} and owner {state.owner}"
            text = f"the token in {token.path} has {has}, not {SECRET:04o} and root"
            yield Finding(token.path, text, "who reads it has the rights of its program at the API server")


def open_vswitch(_expected: Expected, lasting: Lasting) -> Iterator[Finding]:
    """Yield a database of Open vSwitch that does not answer; the host's part was not compared then."""
    if lasting.open_vswitch:
        text = f"Open vSwitch's database can't be read: {lasting.open_vswitch}"
        yield Finding("Open_vSwitch", text, "this host is not part of the overlay; its part was not compared")


def parts(_expected: Expected, lasting: Lasting) -> Iterator[Finding]:
    """Yield what a site run would do to the host's own parts."""
    yield from _compared("node", lasting.node)
    yield from _compared("gateway", lasting.gateway)


def central_ports(_expected: Expected, lasting: Lasting) -> Iterator[Finding]:
    """Yield what differs of the table before the ports of a master's databases, and of what loads it."""
    if lasting.central_ports.problem:
        text = f"the ports of the databases can't be compared: {lasting.central_ports.problem}"
        yield Finding("nftables", text, "a site run stops here")
    yield from words.operations(lasting.central_ports.plan)


def overlay(_expected: Expected, lasting: Lasting) -> Iterator[Finding]:
    """Yield what a site run would do to the Northbound database, by the node that each row belongs to."""
    if lasting.overlay.problem:
        text = f"the Northbound database can't be compared: {lasting.overlay.problem}"
        yield Finding("Northbound", text, "a site run stops here")
    by_node: dict[str, list[Operation]] = {}
    for operation in lasting.overlay.plan:
        by_node.setdefault(_node_of(operation), []).append(operation)
    for node, operations in by_node.items():
        yield from words.operations(operations, node)


def _node_of(operation: Operation) -> str:
    """Return the node that the row of an operation belongs to; empty for a row of the whole cluster."""
    row = operation.desired or operation.current if isinstance(operation, Change) else None
    owner = row.owner if row else None
    return owner.name if owner and owner.type in ("Node", "Gateway", "Host") else ""


def _compared(part: str, compared: Compared) -> Iterator[Finding]:
    if compared.problem:
        yield Finding(part, f"the {part}'s part can't be compared: {compared.problem}", "a site run stops here")
    yield from words.operations(compared.plan)


def cni_configuration(expected: Expected, passing: Passing) -> Iterator[Finding]:
    """Yield a runtime's network configuration that is missing, or is not the one that the node server writes.

    The node server keeps it while it is ready. Where it is not, its own row says why.
    """
    if not expected.serves_pods or passing.not_ready.get(NODE_SERVER):
        return
    path, mend = names.CNI_CONFIGURATION, "systemctl restart ovn-k8s-node"
    if not passing.configuration:
        yield Finding(path, f"file {path} is missing", NEW_PODS, mend)
    elif passing.mtu is not None and passing.configuration != configuration(passing.mtu, passing.configuration):
        yield Finding(path, f"file {path} is not the node server's", NEW_PODS, mend)


def earlier_configurations(_expected: Expected, lasting: Lasting) -> Iterator[Finding]:
    """Yield network configurations of others that the runtime takes instead of the node server's."""
    for other in lasting.earlier_configurations:
        severity = WARNING if other.is_meta else ERROR
        wrong = other.describe(names.CNI_CONFIGURATION)
        yield Finding(names.CNI_CONFIGURATION, wrong, other.causes, other.mend, severity)


def added_plugins(_expected: Expected, lasting: Lasting) -> Iterator[Finding]:
    """Yield plugins that others have added to the node server's configuration, and that the runtime may not find."""
    path = names.CNI_CONFIGURATION
    for plugin in lasting.lost_plugins:
        text = f"plugin {plugin}, which another program has added to {path}, is not in {names.PLUGINS_DIRECTORY}"
        mend = f"install it there, or take it out of {path}"
        yield Finding(path, text, f"{NEW_PODS}, unless it has that plugin elsewhere", mend, WARNING)


def kube_proxy(_expected: Expected, lasting: Lasting) -> Iterator[Finding]:
    """Yield kube-proxy beside the node server, which does the same, or what is left of it."""
    signs = lasting.kube_proxy
    if not signs:
        return
    runs, shown = signs[0].startswith("process"), ", ".join(signs[: words.SHOWN])
    what = "kube-proxy runs here too" if runs else "rules of kube-proxy are left here"
    causes = "it may translate node ports and this host's connections to services first, to endpoints of its own choice"
    first = "kubectl -n kube-system delete daemonset kube-proxy, or stop its unit; then here" if runs else "run here"
    if runs:
        causes += f", and answers port {names.PROXY_HEALTH_PORT}"
    mend = f"{first}: kube-proxy --cleanup, or boot this host"
    yield Finding("kube-proxy", f"{what}: {shown}", causes, mend, WARNING)


def pods_mtu(expected: Expected, lasting: Lasting) -> Iterator[Finding]:
    """Yield pods that were made with another MTU than new ones get."""
    mtu = (expected.node or {}).get("mtu") or lasting.mtu
    if not mtu:
        return
    others: dict[int, list[str]] = {}
    for link in lasting.pod_links:
        if link.mtu != mtu:
            others.setdefault(link.mtu, []).append(link.pod)
    for other, pods in sorted(others.items()):
        shown = ", ".join(sorted(pods)[: words.SHOWN]) + (", ..." if len(pods) > words.SHOWN else "")
        causes = (
            "their larger packets are lost in the overlay" if other > mtu else "they send smaller packets than they may"
        )
        text = f"pods with MTU {other}, where ovn_mtu is {mtu} now: {shown}"
        yield Finding("pods", text, causes, "delete these pods, so that they are made anew", WARNING)


def gateway_bridge(_expected: Expected, lasting: Lasting) -> Iterator[Finding]:
    """Yield addresses on the bridge of a NIC that only the gateway uses."""
    for bridge, addresses in lasting.bridge_addresses.items():
        for address in addresses:
            causes = "the host answers for it on its other NICs, and reaches no other host that has it"
            mend = f"ip address del {address} dev {bridge}"
            yield Finding(bridge, f"foreign address {address} on the gateway's bridge {bridge}", causes, mend, WARNING)


def controllers(_expected: Expected, lasting: Lasting) -> Iterator[Finding]:
    """Yield OpenFlow controllers of others, which came after the overlay: a site run refuses those that were there
    before.
    """
    for bridge, targets in lasting.controllers.items():
        text = f"{bridge} has the controller {', '.join(targets)} of another program"
        causes = "that program deletes the overlay's flows there, or keeps ovn-controller from its own"
        yield Finding(bridge, text, causes, f"take the host out there, then ovs-vsctl del-controller {bridge}")


def unfinished(_expected: Expected, lasting: Lasting) -> Iterator[Finding]:
    """Yield a change of NICs that could not be rolled back completely."""
    if lasting.unfinished:
        causes = "the host may lose its network at the next boot, and no NIC can be moved"
        mend = f"mend what is named; it goes on by itself, and at once with systemctl restart {names.HOST_UNIT}"
        yield Finding("NICs", lasting.unfinished, causes, mend)


def left_out(_expected: Expected, lasting: Lasting) -> Iterator[Finding]:
    """Yield addresses of programs that a bridge does not get again at a boot."""
    for bridge, addresses in lasting.left_out.items():
        text = f"{', '.join(addresses)} was on the NIC of {bridge}, and is taken for the address of a program"
        causes = f"{bridge} does not get it again at a boot: its program has to bring it"
        mend = "is it the host's own: write it into the configuration of the network"
        yield Finding(bridge, text, causes, mend, WARNING)


def units(expected: Expected, passing: Passing) -> Iterator[Finding]:
    """Yield units that do not run as they should."""
    if passing.systemd:
        yield Finding(
            "systemd", passing.systemd, "services can't be started, and were not compared", "look at the host"
        )
    for unit in expected.units:
        status = passing.units.get(unit.name)
        if status is None:
            continue
        causes, log = words.UNITS.get(unit.name, words.OTHER_UNIT), f"journalctl -u {unit.name.split('.')[0]}"
        steps = plan(unit, status)
        if unit.state != STARTED:
            if steps:
                what = "is there" if unit.state == ABSENT else "runs"
                text = f"{unit.name} {what}, and the inventory has no use for it"
                yield Finding(unit.name, text, "it changes what others keep")
            continue
        if not status.loaded and unit.content is None:
            yield Finding(unit.name, f"{unit.name} does not exist", causes)
        elif not status.running:
            yield Finding(unit.name, f"{unit.name} does not run: {status.state}", causes)
        elif status.state.startswith("activating"):
            yield Finding(unit.name, f"{unit.name} does not come up: {status.state}", causes, log)
        rest = [step.text for step in steps if step.text != f"{unit.name}: start"]
        if rest and status.loaded:
            text = f"{unit.name} is not as it should be: {'; '.join(part.partition(': ')[2] for part in rest)}"
            yield Finding(unit.name, text, "it runs with old files, or not after the next boot")


def proxy_health(expected: Expected, passing: Passing) -> Iterator[Finding]:
    """Yield a port of kube-proxy's health checks at which the node server does not answer."""
    if passing.unhealthy and not passing.not_ready.get(NODE_SERVER):
        port = names.PROXY_HEALTH_PORT
        text = (
            f"the health checks of a cloud's load balancers (port {port}) are not answered: {line(passing.unhealthy)}"
        )
        mend = f"journalctl -u ovn-k8s-node; who has the port: ss -ltnp sport = :{port}"
        yield Finding("health", text, "a cloud's load balancers send nothing to this host", mend, WARNING)


def registration(_expected: Expected, passing: Passing) -> Iterator[Finding]:
    """Yield a chassis that the Southbound database does not have."""
    causes = words.UNITS["ovn-controller.service"]
    if passing.southbound:
        text = f"the Southbound database can't be reached from here: {passing.southbound}"
        yield Finding("Southbound", text, causes, "look at the master's rows, and at the way to port 6642 there")
    elif passing.registered is False:
        text = "the Southbound database has no chassis with this host's system-id"
        yield Finding("Southbound", text, causes, "journalctl -u ovn-controller")


def connections(_expected: Expected, passing: Passing) -> Iterator[Finding]:
    """Yield daemons that are not connected to the databases, where the way there is open."""
    for daemon in passing.cut_off if not passing.southbound else ():
        text = f"{daemon} is not connected to OVN's databases (/var/log/ovn/{daemon}.log)"
        causes = "what changes in the overlay does not come to this host; what is set up goes on"
        if daemon == "ovn-northd":
            causes = "where it is the active one, nothing that changes comes to any host"
        yield Finding(daemon, text, causes)


def silence(_expected: Expected, passing: Passing) -> Iterator[Finding]:
    """Yield gateway routers that do not answer. Hosts that don't are put together for all hosts, by the controller."""
    for router in passing.silent_routers:
        text = f"the gateway router of {router.name} ({router.address}) does not answer through the overlay"
        causes = "pods have no way to the outside through this gateway"
        yield Finding("gateway router", text, causes, "look at this gateway's other rows, and at ovn-controller.log")


def steering(expected: Expected, passing: Passing) -> Iterator[Finding]:
    """Yield a shared NIC's bridge without the flows of the gateway helper, or one whose flows can't be read."""
    bridge, causes = (expected.gateway or {}).get("bridge"), "answers from outside don't reach the pods"
    if passing.no_flows:
        text = f"the flows of bridge {bridge} can't be read: {line(passing.no_flows)}"
        yield Finding(str(bridge), text, causes, "look at Open vSwitch: ovs-vswitchd.log")
    elif passing.flows is False:
        text = f"bridge {bridge} has no flows that steer incoming packets to the host or to pods"
        mend = "journalctl -u ovn-k8s-gateway-helper: it waits for the gateway router's port of ovn-controller"
        yield Finding(str(bridge), text, causes, mend)


def bindings(_expected: Expected, passing: Passing) -> Iterator[Finding]:
    """Yield ports that another chassis has claimed."""
    if passing.unknown_bindings and not passing.southbound:  # else it was said already
        text = f"it can't be seen whether each port is at its own chassis: {passing.unknown_bindings}"
        yield Finding("Southbound", text, "a host that takes other hosts' packets is not noticed")
    causes = "another host gets its packets: its ovn-controller is wrong, or somebody has its certificate"
    for one in passing.misplaced[: words.SHOWN]:
        mend = f"look at that host; docs/security.md says how it is shut out; then ovn-sbctl lsp-unbind {one.port}"
        yield Finding("Port_Binding", one.describe(), causes, mend)
    if len(passing.misplaced) > words.SHOWN:
        text = f"{len(passing.misplaced) - words.SHOWN} more ports are bound to chassis that they do not belong to"
        yield Finding("Port_Binding", text, causes, "the same")


LASTING: tuple[LastingCheck, ...] = (
    packages,
    files,
    tokens,
    open_vswitch,
    parts,
    central_ports,
    earlier_configurations,
    added_plugins,
    kube_proxy,
    pods_mtu,
    gateway_bridge,
    controllers,
    left_out,
    unfinished,
    overlay,
)
PASSING: tuple[PassingCheck, ...] = (
    units,
    readiness,
    cni_configuration,
    proxy_health,
    registration,
    connections,
    bindings,
    steering,
    silence,
)
