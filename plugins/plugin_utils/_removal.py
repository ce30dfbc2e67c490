# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What removal needs of an inventory, which is little: names, and how the API server is reached. Private to the
collection.

No facts: a host is removed when its NICs are gone, and when other hosts can't be reached.
"""

from __future__ import annotations

import typing as t
from collections.abc import Mapping, Sequence

from ._authorities import made_folder
from ._errors import InventoryError
from ._inventory import Inventory
from ._kubernetes import Access

OFF = "it can't be reached; its programs, NICs, rows of Open vSwitch and files are as they were"
AGAIN = (
    "Run it again when what is named here can be reached: what is done stays done. "
    "What is gone for good only has to be taken out of the inventory: the host, or ovn_kubernetes_api."
)
Result = Mapping[str, t.Any]


def request(inventory: Inventory) -> dict[str, t.Any]:
    """Return what the extra variables ask for: ``hosts``, their names, and ``everything``, whether the whole overlay is
    to be removed. ``authorities`` is the folder on the controller with CAs that stay; empty: there is none.

    :raises InventoryError: a variable can't have its value.
    """
    anyone = inventory.hosts[0]  # they are the same for all
    return {
        "hosts": inventory.value(anyone, "ovn_remove_hosts") or [],
        "everything": bool(inventory.value(anyone, "ovn_remove_confirmed")),
        "authorities": made_folder(inventory),
    }


def settings(inventory: Inventory) -> dict[str, dict[str, t.Any]]:
    """Return host to ``node_name`` and ``kubernetes``, as the filter ``settings`` has them.

    The name is empty where it is made from facts that nobody could gather.
    ``kubernetes`` is None also where the access can't be worked out: ``kubernetes_problem`` says why then.
    """
    access, problem, named = None, "", frozenset(inventory.named)
    try:
        access = Access(inventory)
    except InventoryError as error:
        problem = error.text
    return {
        host: {
            "node_name": inventory.node_name(host) if host in named else "",
            "kubernetes": access.of(host) if access else None,
            "kubernetes_problem": problem,
        }
        for host in inventory.hosts
    }


class Decision(t.NamedTuple):
    """What can be removed.

    :ivar names: node names.
    :ivar problem: why the databases can't be read or changed; empty: they can, or there are none.
    :ivar rows: whether there are databases of ours to remove rows from.
    :ivar refusal: why nothing may be removed at all; empty: it may.
    """

    names: list[str]
    problem: str
    rows: bool
    refusal: str


def decide(hosts: Sequence[str], results: Mapping[str, t.Any]) -> Decision:
    """Return what can be removed, from the results of the tasks that have looked.

    :param hosts: those of the inventory that are to be removed.
    :param results: ``others``: names that no host of the inventory has. ``everything``: whether the whole overlay is to
        be removed. ``settings``: what :func:`settings` returns. ``master``: the host with the databases. Results of the
        tasks on it, each empty where it did not run: ``facts``, ``master_facts`` (the same, when the play is limited
        to other hosts), ``central`` (whether our drop-in exists), ``started``, ``overlay``.
    """
    overlay: Result = results["overlay"]
    problem = _look_problem(results)
    node_names = [results["settings"][host]["node_name"] for host in hosts]
    return Decision(
        [*filter(None, node_names), *results["others"]],
        problem,
        not problem and ("nodes" in overlay or bool(results["started"].get("changed"))),
        _misnamed(results) or _unnamed(hosts, results) or _unknown(results, problem),
    )


def _misnamed(results: Mapping[str, t.Any]) -> str:
    """Return a refusal of node names whose hosts the inventory calls otherwise.

    Their rows would go, and the hosts would go on.
    """
    hosts = {one["node_name"]: host for host, one in results["settings"].items() if one["node_name"]}
    meant = {name: hosts[name.lower()] for name in results["others"] if name.lower() in hosts}
    if not meant:
        return ""
    what = ", ".join(f"{name}, which is the node name of {host}" for name, host in meant.items())
    return f"ovn_remove_hosts names {what}: name hosts as the inventory does: {', '.join(meant.values())}"


def _unnamed(hosts: Sequence[str], results: Mapping[str, t.Any]) -> str:
    """Return a refusal of single hosts whose names can't be worked out."""
    unnamed = [host for host in hosts if not results["settings"][host]["node_name"]]
    if results["everything"] or not unnamed:
        return ""
    nodes = sorted(results["overlay"].get("nodes") or ())
    return (
        f"ovn_remove_hosts names {', '.join(unnamed)}, whose node name is made from facts, and they can't be gathered: "
        f"name what the databases have in place of it{', one of ' + ', '.join(nodes) if nodes else ''}"
    )


def _unknown(results: Mapping[str, t.Any], problem: str) -> str:
    """Return a refusal of names that neither the inventory nor the databases know."""
    known = {*(results["overlay"].get("nodes") or ()), *(results["overlay"].get("gateways") or ())}
    strangers = [name for name in results["others"] if name not in known]
    if not strangers:
        return ""
    unread = f", or nodes as the databases do, which could not be read: {problem}" if problem else ""
    return (
        f"ovn_remove_hosts names {', '.join(strangers)}, which is in none of ovn_nodes and ovn_gateways: "
        f"name hosts as the inventory does{unread}"
    )


def _look_problem(results: Mapping[str, t.Any]) -> str:
    """Return why the databases can't be read or changed: no answer with rows from a master that has our drop-in."""
    central, started, overlay = results["central"], results["started"], results["overlay"]
    if any(map(_unreachable, (results["facts"], results["master_facts"], central, started, overlay))):
        return f"{results['master']} can't be reached"
    for looked in (central, started):
        if looked.get("failed"):
            return _message(looked)
    is_ours = (central.get("stat") or {}).get("exists")
    # Check mode does not start the databases, so they are not read either.
    is_left_out = overlay.get("skipped") and started.get("changed")
    return _message(overlay) if is_ours and "nodes" not in overlay and not is_left_out else ""


def left(hosts: Sequence[str], results: Mapping[str, t.Any]) -> str:
    """Return what a removal has left, as lines with one sentence each; empty: nothing.

    :param hosts: those that were to be removed.
    :param results: ``reads``: host to the result of the first task on it. ``alive``: the hosts on which no task has
        failed. ``others``: names of nodes without a host. ``everything``: whether the whole overlay was to be removed.
        ``master``: the host with the databases. ``problem``: why they can't be changed. ``rows``: results of the tasks
        that remove rows. ``access``: the master's settings; empty where no account was to go. ``accounts``: result of
        the task that deletes accounts.
    """
    reads, alive = results["reads"], results["alive"]
    lines = []
    for host in hosts:
        if _unreachable(reads.get(host)):
            lines.append(f"{host}: {OFF}")
        elif host not in alive:
            lines.append(f"{host}: a task failed there (see above), and what comes after it was not done")
    rows = "the rows" if results["everything"] else f"the rows of {', '.join([*hosts, *results['others']])}"
    failures = "; ".join(_message(one) for one in results["rows"] if _is_problem(one))
    more = {
        f"{rows} in the databases on {results['master']}": results["problem"] or failures,
        "the accounts in Kubernetes, with their tokens": _accounts_problem(results),
    }
    lines += [f"{subject}: {' '.join(reason.split())}" for subject, reason in more.items() if reason]
    return "\n".join(["This is left:", *(f"- {line}" for line in lines), AGAIN]) if lines else ""


def _accounts_problem(results: Mapping[str, t.Any]) -> str:
    """Return why accounts are left: the task did not run, or did not reach the API server, failure or not."""
    access, accounts = results["access"], results["accounts"]
    if access.get("kubernetes_problem"):
        return str(access["kubernetes_problem"])
    if results["problem"] and (access.get("kubernetes") or {}).get("accounts"):
        return str(results["problem"])
    return _message(accounts) if access and _is_problem(accounts) else ""


def _is_problem(result: t.Any) -> bool:
    return isinstance(result, Mapping) and bool(
        result.get("failed") or result.get("unreachable") or result.get("error_code")
    )


def _message(result: Result) -> str:
    return str(result.get("msg") or "the task failed (see above)")


def _unreachable(read: t.Any) -> bool:
    return isinstance(read, Mapping) and bool(read.get("unreachable"))
