# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the replies of an ovsdb-server mean, for every kind of connection."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._common.errors import Conflict, DatabaseError, LockLost

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from typing import Any

    from .operations import Operation

NOT_A_REMOTE = "not a remote: write unix:PATH, tcp:ADDRESS:PORT or ssl:ADDRESS:PORT"
OLDEST = "OVN 22.03 and Open vSwitch 2.17 are the oldest that have it: upgrade the server"
# "error" of an operation's result (RFC 7047, 5.2 and ovsdb-server(7), 5.2) -> explanation and advice.
EXPLANATIONS = {
    "constraint violation": "a value breaks a rule of the schema: correct the setting that it comes from",
    "referential integrity violation": "it deletes a row that others still refer to, "
    "or refers to a row that does not exist: find out who else writes there, and run it again",
    "not owner": "another client has the lock of this change: leave the change to it",
    "permission error": "this client's role may not write there: use the server's own socket, "
    "or a certificate whose role may",
    "resources exhausted": "the server has not enough memory: give its host more",
    "I/O error": "the server could not write its file: check its disk and its log",
    "syntax error": f"the server does not know the request: {OLDEST}",
    "not supported": f"the server is too old for the request: {OLDEST}",
}
# A list of remotes: seconds for a member to answer. It may be gone without a word, and the next one leads.
MEMBER_TIMEOUT = 2.0
# Both mean that the plan is out of date: a wait did not hold, or another client inserted a row with the UUID of a new
# one.
CONFLICTS = ("timed out", "duplicate uuid")
SHOWN = 300  # characters of the server's details, which may name many rows
SERVER_COLUMNS = ("name", "connected", "leader")  # of table Database in database _Server, ovsdb-server(5)


def unusable_reason(database: str, rows: Iterable[Mapping[str, Any]], leader_only: bool = True) -> str | None:
    """Return why a server can't be used for ``database``; None when it can.

    :param rows: of its table Database: which databases it serves, and whether it leads their clusters.
    :param leader_only: whether it must lead; other members and relays have the same content a moment later.
    """
    databases = {row["name"]: row for row in rows}
    state = databases.get(database)
    if state is None:
        others = ", ".join(sorted(set(databases) - {"_Server"})) or "none"
        return f"it has no database {database}, only {others}"
    if not state["connected"]:
        return "it has lost its cluster: a majority of the members must run"
    if leader_only and not state["leader"]:
        return "it is not the leader of its cluster: name all members"
    return None


def check_results(database: str, operations: Sequence[Operation], results: list[Any]) -> list[Any]:
    """Return the results of a transaction that was committed.

    :raises Conflict: a ``wait`` did not hold, or another client inserted a row with the UUID of a new row.
    :raises LockLost: the asserted lock is not ours.
    :raises DatabaseError: the server refused the transaction. In all cases nothing was written.
    """
    for index, result in enumerate(results):
        error = result and result.get("error")
        if not error:
            continue
        if error in CONFLICTS:
            raise Conflict("the database changed while the change was planned")
        # The commit itself can fail too: its error follows the results of the operations (RFC 7047, 4.1.3).
        operation = operations[index] if index < len(operations) else {}
        target = f"{operation['op']} of {operation['table']}" if "table" in operation else "the commit"
        details = str(result.get("details", error))[:SHOWN]
        text = f"{database} refused {target}: {EXPLANATIONS.get(error, error)} ({details})"
        raise LockLost(text) if error == "not owner" else DatabaseError(text)
    return results
