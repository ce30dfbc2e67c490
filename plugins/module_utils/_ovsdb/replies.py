# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What an ovsdb-server's answers mean, in words: the same for every kind of connection."""

from __future__ import annotations

from .._common.errors import Conflict, DatabaseError, LockLost

NOT_A_REMOTE = "not a remote: write unix:PATH, tcp:ADDRESS:PORT or ssl:ADDRESS:PORT"
OLDEST = "OVN 22.03 and Open vSwitch 2.17 are the oldest that have it: upgrade the server"
IN_WORDS = {
    "constraint violation": "a value breaks a rule of the schema: correct the setting that it comes from",
    "referential integrity violation": "a row that is still referred to would go, or one that doesn't exist is referred to: find out who else writes there, "
    "and run it again",
    "not owner": "the lock of this change belongs to another client: leave the change to it",
    "permission error": "this client's role may not write there: use the server's own socket, or a certificate whose role may",
    "resources exhausted": "the server has no room for it: give its host more memory",
    "I/O error": "the server could not write its file: look at its disk and its log",
    "syntax error": f"the server does not know it: {OLDEST}",
    "not supported": f"the server is too old for it: {OLDEST}",
}
SERVER_COLUMNS = ("name", "connected", "leader")  # of _Server's table Database, ovsdb-server(5)


def unfit(database, rows):
    """Why a server whose ``_Server`` database holds these rows can't serve ``database``; None when it can."""
    rows = {row["name"]: row for row in rows}
    mine = rows.get(database)
    if mine is None:
        return "it has no database {}, only {}".format(database, ", ".join(sorted(set(rows) - {"_Server"})) or "none")
    if not mine["connected"]:
        return "it has lost its cluster: a majority of the members must run"
    if not mine["leader"]:
        return "it is not the leader of its cluster: name all members"
    return None


def checked(database, operations, results):
    """The results of a transaction that succeeded.

    :raises Conflict: when a ``wait`` did not hold; nothing was written then.
    :raises LockLost: when the lock that it asserts is not ours; nothing was written then.
    :raises DatabaseError: in words, when the server refused; nothing was written then.
    """
    for index, result in enumerate(results):
        if result and result.get("error"):
            if result["error"] in ("timed out", "duplicate uuid"):
                raise Conflict("the database changed while the change was planned")
            operation = operations[index] if index < len(operations) else {}
            where = (
                "{} of {}".format(operation.get("op", "commit"), operation["table"])
                if "table" in operation
                else "the commit"
            )
            words = IN_WORDS.get(result["error"], result["error"])
            kind = LockLost if result["error"] == "not owner" else DatabaseError
            raise kind("{} refused {}: {} ({})".format(database, where, words, result.get("details", result["error"])))
    return results
