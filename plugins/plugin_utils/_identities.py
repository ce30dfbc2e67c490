# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whose a system-id is. A host says its own, and it is the name in its certificate, by which the Southbound database
lets it write: so it counts only where no other host is known to have it. Private to the collection.

Known are the hosts of this run, and what the Northbound database has on record, which masters alone write. What is
recorded of nobody is believed at first use.
"""

from __future__ import annotations

import re
import typing as t
from collections.abc import Iterator, Mapping

from ..module_utils._topology.clones import ADVICE, twins
from ._errors import InventoryError, show
from ._inventory import Inventory
from ._known_nodes import Known
from ._report import names_of

Record = Mapping[str, str]  # node, in lower case -> the system-id in its row
TEXT = re.compile("[!-~]+")  # OVS ends the name in a certificate at the first NUL


def record(inventory: Inventory) -> Record | None:
    """Return what the masters' Northbound databases have on record; None: there are databases, or may be, and none
    could be read."""
    found: dict[str, str] = {}
    read = unknown = False
    for host in inventory.hosts:
        facts = inventory.facts(host)
        if host not in inventory.masters:
            # Its record would be a node's word. That it was a master says that this is no first run.
            unknown |= facts.own.central
            continue
        northbound = None if facts.central_databases is None else facts.central_databases.get("northbound") or {}
        chassis = (northbound or {}).get("chassis")
        if isinstance(chassis, Mapping):
            read = True
            found.update({str(node).lower(): str(one) for node, one in chassis.items()})
        else:
            unknown |= northbound is None or northbound.get("model", "none") != "none"
    return found if read or not unknown else None


def record_of(overlay: Mapping[str, t.Any]) -> Record:
    """Return what the Northbound database has on record, of what ``ovn_info`` has found."""
    return {str(node).lower(): str(one) for node, one in Known.of(overlay).chassis.items() if one}


def claims(inventory: Inventory, late: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return host to its system-id, as it says itself; empty: it has none, or was not asked.

    :param late: of hosts that got one since their facts were gathered.
    """
    return {host: (late or {}).get(host) or inventory.facts(host).own.system_id for host in inventory.hosts}


def problems(inventory: Inventory, claimed: Mapping[str, str], known: Record) -> Iterator[tuple[str, str]]:
    """Yield each host that can't have its system-id, and why, in words.

    :param claimed: as :func:`claims` returns it.
    """
    if inventory.tls:
        for host, own in claimed.items():
            if own and not TEXT.fullmatch(own):
                text = (
                    f"its system-id {show(own)} can't be a name in a certificate: give it one without spaces, in ASCII"
                )
                yield host, text
    for host, owner, own in twins(claimed.items()):
        yield host, f"its system-id {show(own)} is also that of {owner}, as on a clone: {ADVICE}"
    names = dict(_names(inventory))
    nodes: dict[str, list[str]] = {}
    for node, own in known.items():
        nodes.setdefault(own, []).append(node)
    hosts = {name: host for host, name in names.items()}
    for host, name in names.items():
        own = claimed.get(host) or ""
        # Also where it is on record for this host too: of two, one is not true, and who says it first is not the owner.
        for node in nodes.get(own, ()) if own else ():
            text = "" if node == name else _recorded(inventory, claimed, known.get(name, ""), node, hosts.get(node, ""))
            if text:
                yield host, f"its system-id {show(own)} is that of {text}"


def result_problems(inventory: Inventory, overlay: Mapping[str, t.Any], results: Mapping[str, str]) -> list[str]:
    """Return sentences about hosts whose results name a system-id that they can't have. A host says it again there, and
    that is what is put on record: so it has to be what was checked before, and where the host had none, it is checked
    now.

    :param overlay: what ``ovn_info`` has found.
    :param results: host to the system-id that its own part has returned.
    """
    found = list(_changed(inventory, results))
    found = found or list(problems(inventory, claims(inventory, results), record_of(overlay)))
    return [f"{host}: {text}" for host, text in found]


def _changed(inventory: Inventory, results: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    for host in inventory.hosts:
        before, now = inventory.facts(host).own.system_id, results.get(host) or ""
        if before and now and before != now:
            yield (
                host,
                f"its system-id was {show(before)} when its facts were gathered, and is {show(now)} now: if Open "
                "vSwitch was installed anew meanwhile, run this again; otherwise find out who changes it, and don't "
                "trust this host until then",
            )


def _recorded(inventory: Inventory, claimed: Mapping[str, str], own: str, node: str, owner: str) -> str:
    """Return whose the system-id is, and what to do; empty: the host can have it.

    :param own: the system-id on record for the host itself.
    :param node: the node on record with the one that the host says.
    :param owner: its host in the inventory.
    """
    if owner:
        # Where it has another one by now, this one is nobody's.
        again = f"or, where {owner} has another one by now, run this for it too"
        return "" if claimed.get(owner) else f"{owner} in the databases: {ADVICE}, {again}"
    if own:
        gone = f"where {node} is gone for good, first ansible-playbook ovn.kubernetes.remove -e ovn_remove_hosts={node}"
        return f"node {node} in the databases, and this host is another node there: {ADVICE}; {gone}"
    nameless = [host for host in inventory.hosts if host not in inventory.named]
    if nameless:
        renamed = f"if it is {node} under a new name, run this for all hosts"
        return f"node {node} in the databases, which {names_of(nameless)} may be: {ADVICE}; {renamed}"
    return ""  # the node under a new name


def _names(inventory: Inventory) -> Iterator[tuple[str, str]]:
    for host in inventory.named:
        try:
            yield host, inventory.node_name(host)
        except InventoryError:
            continue  # said elsewhere
