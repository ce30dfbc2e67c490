# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The findings of all hosts as rows of one table. Private to the collection."""

from __future__ import annotations

import os
import typing as t
from collections.abc import Iterable, Mapping, Sequence

from ..module_utils._topology.clones import ADVICE, twins
from ..module_utils._verify.finding import ERROR, SITE, WARNING, Finding
from . import _advisories, _versions

Values = Mapping[str, t.Any]
HEADINGS = ("HOST", "", "WHAT IS WRONG", "WHAT IT CAUSES", "WHAT MENDS IT")
WIDEST = 70  # characters that a cell is padded to
MOST_SKEW = 60  # seconds; certificates begin a day before they are made
ALL = "(all)"  # instead of a host: the inventory, or the overlay as a whole
TOO_LARGE = "pods' packets that don't fit outside are lost there, without an ICMP error"
TOO_SMALL = "pods' packets outside are smaller than they could be"
CUT_OFF = "pods on both sides can't reach each other"


class Row(t.NamedTuple):
    """A finding, and the host that it is about."""

    host: str
    severity: str
    wrong: str
    causes: str
    mend: str

    @classmethod
    def of(cls, host: str, finding: Finding, site: str) -> Row:
        """Return a finding's row.

        :param site: the command that runs the site play.
        """
        mend = site if finding.mend == SITE else finding.mend
        return cls(host, finding.severity, finding.wrong, finding.causes, mend)


class Run(t.NamedTuple):
    """What one run of verify has gathered.

    :ivar hosts: the hosts of the play, in the order of the inventory.
    :ivar master: the host with the databases; empty when the play is limited to others.
    :ivar facts: host to the result of the phase facts.
    :ivar results: host to the result of the phase host.
    :ivar names: host to node name.
    :ivar problems, warnings: what is wrong with the inventory, or beside what Kubernetes has.
    :ivar overlay: result of the phase overlay.
    :ivar advice: what may not be meant, as :class:`._advice.Advice` has it.
    :ivar unnamed: hosts whose node names are not known.
    :ivar masters: all masters of the inventory.
    :ivar central: what is wrong with the masters' databases, as :class:`._central_findings.CentralFinding` has it.
    """

    hosts: Sequence[str]
    master: str
    facts: Mapping[str, Values]
    results: Mapping[str, Values]
    names: Mapping[str, str]
    problems: Sequence[str]
    warnings: Sequence[str]
    overlay: Values
    unnamed: Sequence[str] = ()
    advice: Sequence[Mapping[str, str]] = ()
    masters: Sequence[str] = ()
    central: Sequence[Mapping[str, str]] = ()


def rows(run: Run, site: str) -> list[Row]:
    """Return the rows, those of a host together, errors before warnings."""
    found: list[tuple[str, Finding]] = [
        *_unreached(run),
        *_problems(run),
        *_advice(run),
        *_unread_overlay(run),
        *_central(run),
        *_of_hosts(run),
        *_twins(run),
        *((ALL, finding) for finding in _versions.differences(versions(run))),
        *_advisories.findings(_facts(run)),
        *_northd(run),
        *_identities(run),
        *_silences(run),
        *_skews(run),
        *_shares(run),
        *_strangers(run),
    ]
    order = {host: number for number, host in enumerate([ALL, *run.hosts])}
    found.sort(key=lambda pair: (order.get(pair[0], len(order)), pair[0], pair[1].severity != ERROR))
    return list(dict.fromkeys(Row.of(host, finding, site) for host, finding in found))


def _unreached(run: Run) -> Iterable[tuple[str, Finding]]:
    for host in run.hosts:
        for result in (run.facts.get(host, {}), run.results.get(host, {})):
            text = result.get("unreached")
            if text:
                causes = "nothing more is known of this host"
                if host == run.master:
                    causes += "; its databases were not read, so hosts were compared with what they have saved"
                yield host, Finding("", f"can't be reached: {text}", causes, "look at the host and the way to it")
                break
            if result.get("problem"):
                causes = "the rest of this host was not compared"
                yield host, Finding("", str(result["problem"]), causes, "look at the host")
                break


def _problems(run: Run) -> Iterable[tuple[str, Finding]]:
    """Yield what is wrong with the inventory, or with it on a host as it is now, such as a NIC that is gone."""
    sentences = [(text, ERROR, "a site run stops here") for text in run.problems]
    sentences += [(text, WARNING, "pods that run there get no interface") for text in run.warnings]
    for text, severity, causes in sentences:
        host, _colon, rest = text.partition(": ")
        of_host = host in run.hosts
        mend = "mend the host or the inventory"
        yield host if of_host else ALL, Finding("inventory", rest if of_host else text, causes, mend, severity)


def _advice(run: Run) -> Iterable[tuple[str, Finding]]:
    """Yield what may not be meant of the hosts of the play, and with its master of what no host of the inventory is."""
    for one in run.advice:
        if one["host"] in run.hosts or (run.master and one["host"] not in run.names):
            finding = Finding("inventory", one["wrong"], one["causes"], one["mend"], one["severity"])
            yield one["host"], finding


def _central(run: Run) -> Iterable[tuple[str, Finding]]:
    """Yield what is wrong with the masters' databases."""
    for one in run.central:
        finding = Finding("databases", one["wrong"], one["causes"], one["mend"], one["severity"])
        yield one["host"] if one["host"] in run.hosts else ALL, finding


def _unread_overlay(run: Run) -> Iterable[tuple[str, Finding]]:
    problem = run.overlay.get("problem") or run.overlay.get("unreached")
    if problem:
        causes = "no change reaches the overlay; its rows were not compared, and hosts only with what they have saved"
        # The master has no row of its own when the play is limited to other hosts.
        mend = "look at the hosts of ovn_masters and the way to them" if run.overlay.get("unreached") else SITE
        yield run.master or ALL, Finding("Northbound", f"the overlay can't be read: {problem}", causes, mend)


def _of_hosts(run: Run) -> Iterable[tuple[str, Finding]]:
    """Yield what the hosts have found, for the host that each node name stands for."""
    host_of = {name: host for host, name in run.names.items()}
    for host in run.hosts:
        for one in run.results.get(host, {}).get("findings") or []:
            finding = Finding(**{key: str(value) for key, value in one.items()})
            yield host_of.get(finding.node, finding.node or host), finding


def _facts(run: Run) -> dict[str, Values]:
    """Return host to the facts that its module has read."""
    return {host: run.results.get(host, {}).get("facts") or {} for host in run.hosts}


def versions(run: Run) -> _versions.Versions:
    """Return what runs on each host."""
    return _versions.of_facts(_facts(run))


def advisories(run: Run) -> list[str]:
    """Return the advisories that no upgrade mends, and those that are not judged."""
    return _advisories.lines(_facts(run))


def _twins(run: Run) -> Iterable[tuple[str, Finding]]:
    """Yield hosts with one system-id, as clones of a machine have."""
    for host, other, chassis in twins((host, facts.get("chassis")) for host, facts in _facts(run).items()):
        if any(chassis in text for text in run.problems):  # the facts have shown it already
            continue
        text = f"has the system-id {chassis} of {other}"
        causes = "both are one chassis: each takes the other's tunnels and pods away; a site run stops"
        yield host, Finding("system-id", text, causes, ADVICE)


def _northd(run: Run) -> Iterable[tuple[str, Finding]]:
    """Yield that no ovn-northd acts. Only all masters together can say that, and only where each of them runs one."""
    said = {host: str(_facts(run).get(host, {}).get("northd") or "") for host in run.masters}
    if not said or not all(said.values()) or "active" in said.values():
        return
    states = ", ".join(f"{state} on {host}" for host, state in said.items())
    causes = "hosts learn of no change: new pods, nodes and services have no network"
    mend = (
        "on a master: ovn-appctl -t ovn-northd resume where it is paused, else systemctl restart ovn-northd; if that "
        "does not help, another client holds its lock: docs/security.md says who can"
    )
    yield ALL, Finding("ovn-northd", f"no ovn-northd acts: it is {states}", causes, mend)


def _identities(run: Run) -> Iterable[tuple[str, Finding]]:
    """Yield what the Northbound database and the API server have of a host, and the host does not."""
    nodes, gateways = run.overlay.get("nodes") or {}, run.overlay.get("gateways") or {}
    facts = _facts(run)
    accounts = (facts.get(run.master) or {}).get("accounts")
    for host, of_host in facts.items():
        name = run.names.get(host, host)
        own_mtu, written_mtu = of_host.get("physical_mtu"), gateways.get(name, {}).get("mtu")
        misfit = TOO_LARGE if (own_mtu or 0) < (written_mtu or 0) else TOO_SMALL
        pairs = (
            ("system-id", of_host.get("chassis"), nodes.get(name, {}).get("chassis"), "its gateway is bound elsewhere"),
            ("gateway's MAC", of_host.get("physical_mac"), gateways.get(name, {}).get("mac"), "answers get lost"),
            ("gateway's MTU", own_mtu, written_mtu, misfit),
        )
        for what, own, written, causes in pairs:
            if own and written and str(own).lower() != str(written).lower():
                text = f"its {what} is {own}, and the Northbound database has {written}"
                yield host, Finding(what, text, causes)
        for account, uid in (of_host.get("token_uids") or {}).items():
            if accounts is not None and accounts.get(account, uid) != uid:
                text = f"the token of {account} belongs to an account that was deleted and made again"
                yield host, Finding("token", text, "its program can't reach the API server")


def _silences(run: Run) -> Iterable[tuple[str, Finding]]:
    """Yield hosts that do not answer each other, as few rows as name all pairs: the host with most pairs first."""
    pairs = {(host, peer) for host in run.hosts for peer in run.results.get(host, {}).get("silent") or []}
    while pairs:
        counts: dict[str, int] = {}
        for pair in pairs:
            for host in pair:
                counts[host] = counts.get(host, 0) + 1
        worst = max(counts, key=lambda host: (counts[host], host))
        own = {pair for pair in pairs if worst in pair}
        others = sorted({host for pair in own for host in pair if host != worst})
        text = f"no answer through the overlay between this host and {', '.join(others)}"
        mend = "mend the other rows of these hosts first; then look at UDP port 6081 between their tunnel addresses"
        yield worst, Finding("tunnels", text, CUT_OFF, mend)
        pairs -= own


def _skews(run: Run) -> Iterable[tuple[str, Finding]]:
    """Yield hosts whose clock is not the controller's: certificates are valid from a moment to another."""
    for host in run.hosts:
        skew = run.facts.get(host, {}).get("clock_skew")
        if isinstance(skew, (int, float)) and abs(skew) > MOST_SKEW:
            words = f"{abs(skew):.0f} s {'ahead of' if skew > 0 else 'behind'}"
            text = f"its clock is {words} the controller's"
            causes = "certificates and tokens are refused that are valid, or accepted that are not any more"
            yield host, Finding("clock", text, causes, "let both follow a time server", WARNING)


def _shares(run: Run) -> Iterable[tuple[str, Finding]]:
    """Yield gateways that could carry traffic, and have no pods while others have."""
    host_of = {name: host for host, name in run.names.items()}
    slots = {name: gateway.get("slots") or {} for name, gateway in (run.overlay.get("gateways") or {}).items()}
    for name, own in slots.items():
        idle = [family for family in own if not own[family] and any(other.get(family) for other in slots.values())]
        if idle:
            text = (
                f"no pods leave through this gateway ({', '.join(idle)}): it came, or came back, after others had them"
            )
            causes = "the other gateways carry its share too"
            mend = "ovn.kubernetes.site -e ovn_egress_rebalance=true, when connections of pods that move may be cut"
            yield host_of.get(name, name), Finding("egress", text, causes, mend, WARNING)


def _strangers(run: Run) -> Iterable[tuple[str, Finding]]:
    """Yield what the databases have, and the inventory does not; nothing where a node may be a host without a name."""
    if not run.master or "nodes" not in run.overlay or run.unnamed:
        return
    names = set(run.names.values())
    known = {facts.get("chassis") for facts in _facts(run).values()}
    node_of = {node["chassis"]: name for name, node in run.overlay["nodes"].items() if node["chassis"]}
    for name, node in run.overlay["nodes"].items():
        known.add(node["chassis"])
        if name not in names:
            text = f"node {name} is in the overlay, and not in the inventory"
            mend = f"put it into the inventory; to remove it: ovn.kubernetes.remove -e ovn_remove_hosts={name}"
            yield name, Finding("node", text, "it keeps its subnet and its rows", mend, WARNING)
    own = {run.names.get(host, host): facts.get("chassis") for host, facts in _facts(run).items()}
    for chassis, registered in (run.overlay.get("chassis") or {}).items():
        name = registered["hostname"]
        of_host = f" of {name}" if name else ""
        causes = "all hosts keep a tunnel to it"
        if chassis not in known and name not in names:
            text = f"chassis {chassis}{of_host} is registered, and no host of the inventory has it"
            mend = f"on the master: ovn-sbctl chassis-del {chassis}"
            yield run.master, Finding("chassis", text, causes, mend, WARNING)
        elif chassis not in known and own.get(name):
            text = f"chassis {chassis}{of_host} is registered, from before the host had the system-id {own[name]}"
            yield run.master, Finding("chassis", text, causes, severity=WARNING)
        elif chassis in node_of and name != node_of[chassis] and name in node_of.values():
            text = f"chassis {chassis} is node {node_of[chassis]}'s, and says that it is {name}"
            causes = f"while {name} can't register, nobody can tell which of them has its tunnel address"
            yield run.master, Finding("chassis", text, causes, severity=WARNING)


def table(found: Sequence[Row]) -> list[str]:
    """Return the table's lines; none without rows."""
    return lines([HEADINGS, *found]) if found else []


def lines(cells: Sequence[tuple[str, ...]]) -> list[str]:
    """Return the lines of a table, its headings among the rows."""
    widths = [min(WIDEST, max(map(len, column))) for column in zip(*cells)]
    return [" | ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in cells]


def site_command(sources: Iterable[str]) -> str:
    """Return the command that runs the site play with the same inventory.

    :param sources: paths of the inventory, as Ansible has them, or lists of hosts.
    """
    words = []
    for source in sources:
        near = os.path.relpath(source) if os.path.isabs(source) else source
        words.append(f"-i {near if len(near) < len(source) else source}")
    return " ".join(["ansible-playbook", *words, "ovn.kubernetes.site"])
