# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The work of ovn_verify on a host: options become what the host should have, and the findings become its result."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import TYPE_CHECKING

from .._common import names
from .._common.errors import KubernetesError
from .._host import central_ports
from .._host.units import Unit
from .._kube.administrator import unready
from .._kube.token import claims, read
from .._topology import options, user_settings
from .._topology.cluster import Cluster
from .._topology.overlay import Overlay
from .._verify.advisories import read_advisories
from .._verify.central import northd_status
from .._verify.facts import Expected, ExpectedFile, Peer, Token
from .._verify.finding import WARNING, Finding
from .._verify.run import Remotes, verify
from .._verify.versions import read_versions
from .kubernetes import converge_accounts
from .on_host import require_root

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    Values = Mapping[str, Any]

DELETE = (  # all of an account, where removal does not know its host any more
    "if the host is gone: kubectl delete -n ovn-kubernetes serviceaccount,role,rolebinding {0}; "
    "kubectl delete clusterrole,clusterrolebinding {0}"
)
READINESS = {  # program's settings -> where it says whether it is ready, and its unit
    names.WATCHER_ACCESS: (f"http://{names.WATCHER_LISTEN}", "ovn-k8s-watcher.service"),
    names.NODE_ACCESS: (f"http://{names.NODE_LISTEN}", "ovn-k8s-node.service"),
}


def verify_host(params: Values, run: Callable[[list[str]], tuple[int, str, str]]) -> dict[str, Any]:
    """Return the module's result.

    :param run: runs a command of systemd or of the package manager.
    """
    require_root()
    expected = expectation(params)
    report = verify(expected, run, Remotes(params["open_vswitch"], params["northbound"]))
    findings, facts = list(report.findings), dict(report.facts)
    uids = {token.account: claims(read(token.path)) for token in expected.tokens if token.account}
    facts["token_uids"] = {account: found.uid for account, found in uids.items() if found}
    facts["versions"] = read_versions()
    facts["northd"] = northd_status() if "master" in params["parts"] else ""
    if params["advisories"]:
        facts["advisories"] = read_advisories(params["advisories"], run)
    if params["server"]:
        findings += [*servers_findings(params), *accounts_findings(params, facts)]
    return {"findings": [finding.as_dict() for finding in findings], "silent": list(report.silent), "facts": facts}


def expectation(params: Values) -> Expected:
    """Return what the options say that the host should have."""
    settings: Values = params["settings"] or {}
    parts = set(params["parts"])
    gateway = settings.get("gateway") or {}
    kubernetes = settings.get("kubernetes") or {}
    programs = [
        one
        for one in kubernetes.get("programs") or []
        if ("master" if one["account"] == names.WATCHER_ACCOUNT else "node") in parts
    ]
    return Expected(
        node=node_settings(settings, params["subnets"]) if "node" in parts and params["subnets"] else None,
        gateway=gateway_settings(settings) if gateway else None,
        user_settings=tuple(user_settings.read(settings.get("openvswitch_settings") or [])) if settings else None,
        shared_nic=gateway.get("shared_interface") or "",
        is_gateway="gateway" in parts,
        serves_pods=bool(kubernetes.get("pods")) and "node" in parts,
        packages=tuple(dict.fromkeys(params["packages"])),
        units=tuple(Unit.from_options(unit) for unit in params["units"]),
        files=tuple(_file(file) for file in params["files"]),
        tokens=tuple(
            Token(one["token_file"], one["account"] if kubernetes.get("accounts") else "")
            for one in programs
            if one.get("token_file")
        ),
        readiness=dict(READINESS[one["file"]] for one in programs),
        peers=tuple(Peer(**peer) for peer in params["peers"]),
        routers=tuple(Peer(**peer) for peer in params["routers"]),
        central_ports=central_ports.from_options(params["central_ports"]),
        overlay=_overlay(params["overlay"]) if params["overlay"] else None,
    )


def node_settings(settings: Values, subnets: list[str]) -> dict[str, Any]:
    """Return the settings of a node's host part, as the role node gives them to ovn_minion_init."""
    values = {
        "node_name": settings["node_name"],
        "minion_switch_subnet": subnets,
        "southbound": settings["southbound_remote"],
        "encap_type": settings["encap_type"],
        "encap_ip": settings["encap_ip"],
        "mtu": settings["mtu"],
        "datapath_type": settings["datapath_type"] or None,
        "monitor_all": settings["monitor_all"],
        "remote_probe": settings["remote_probe"],
        "routes": [*settings["service_subnets"], *settings["join_subnets"]],
    }
    return options.node_host(values, settings["cluster_subnets"])


def gateway_settings(settings: Values) -> dict[str, Any] | None:
    """Return the settings of a gateway's host part, as the role gateway gives them to ovn_gateway; None where they are
    not known.
    """
    gateway = settings["gateway"]
    values = {key: gateway[key] or None for key in ("physical_interface", "bridge_interface")}
    return options.gateway_host(values, settings["cluster_subnets"]) if any(values.values()) else None


def _file(file: Values) -> ExpectedFile:
    return ExpectedFile(
        file["path"], file["sha256"], file["block"] or "", int(file["mode"], 8) if file["mode"] else None
    )


def _overlay(values: Values) -> Overlay:
    subnets = tuple(values["cluster_ip_subnet"] or ())
    return Overlay(
        cluster=Cluster(subnets, tuple(values["join_subnet"] or ())),
        nodes=tuple(options.node(node, subnets) for node in values["nodes"]),
        gateways=tuple(options.gateway(gateway, subnets) for gateway in values["gateways"]),
        known=frozenset(map(names.node_name, values["known_nodes"])),
    )


def servers_findings(params: Values) -> list[Finding]:
    """Return which of several API servers can't serve. When none can, that is said of the accounts."""
    try:
        problems = asyncio.run(unready(params))
    except KubernetesError:  # the list is wrong, which is said of the accounts too
        return []
    causes = "when the others fail too, nobody serves new pods and services"
    mend = "start it, or mend the way to it; if it is gone for good, take it out of ovn_kubernetes_api"
    return [Finding("Kubernetes", problem, causes, mend) for problem in problems.values()]


def accounts_findings(params: Values, facts: dict[str, Any]) -> list[Finding]:
    """Return what differs of the programs' accounts at the API server; their UIDs become a fact."""
    arguments = {**params, "nodes": params["accounts_of"], "absent_nodes": [], "state": "present"}
    try:
        (result,) = converge_accounts(SimpleNamespace(params=arguments, check_mode=True), with_others=False)
    except KubernetesError as error:
        text = f"the programs' accounts can't be compared: {error}"
        return [Finding("Kubernetes", text, "a site run stops here", "look at the API server")]
    facts["accounts"] = result.facts["accounts"]
    by_account: dict[str, dict[str, list[str]]] = {}
    for operation in result.plan:
        values = operation.as_dict()
        kind = operation.describe().split(" ")[1]
        by_account.setdefault(values["name"], {}).setdefault(values["op"], []).append(kind)
    return [_account(name, kinds) for name, kinds in by_account.items()]


def _account(name: str, kinds: Values) -> Finding:
    """Return the finding of one account: operation -> kinds of its objects at the API server."""
    if set(kinds) == {"delete"}:
        text = f"service account {name} is left over at the API server"
        return Finding("Kubernetes", text, "an account without a host keeps its rights", DELETE.format(name), WARNING)
    parts = [("is missing", "insert"), ("differs", "update"), ("is left over", "delete")]
    words = [f"{', '.join(kinds[verb])} {what}" for what, verb in parts if verb in kinds]
    text = f"of service account {name} at the API server {'; '.join(words)}"
    return Finding("Kubernetes", text, "its program lacks rights, or gets no new token")
