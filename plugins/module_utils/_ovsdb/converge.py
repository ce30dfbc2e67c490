# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The one loop: desired and actual make the plan; the plan is applied and reported.

Check mode stops before apply, the diff prints the plan, ``changed`` says that it was not empty, removal is an empty desire.
"""

from __future__ import annotations

import random
import time
from dataclasses import replace

from .._common.errors import Conflict, DatabaseError, Disconnected, SettingsError
from .._common.names import OWNER_NAME, OWNER_TYPE
from .._common.result import Result
from .difference import difference
from .rows import FIXED_NAMES, HOLDERS, Owner, Query, SetMembers, by_name, found, is_uuid
from .transaction import operations

PATIENCE = 60.0  # seconds in which a plan is made anew while others change what it was made from


def converge_rows(connect, subject, comment, check=False):
    """Make a database hold what ``subject`` wants, in one transaction.

    :param connect: makes a connection.
    :param subject: has near, own, aliases, mine, questions and rows as :class:`._topology.overlay.Overlay` has.
    :param comment: who asks, for the database's log.
    :returns: a :class:`Result`.
    :raises DatabaseError: in words; nothing half-done, since a transaction is all or nothing.
    """
    deadline, connection, sent, lost = time.monotonic() + PATIENCE, connect(), [], False
    try:
        while True:
            plan = []
            try:
                plan, named, asked = plan_rows(connection, subject)
                if check or not plan:
                    return Result(plan or sent)
                connection.transact(operations(plan, named, asked, comment))
                return Result(plan)
            except Conflict:
                if time.monotonic() > deadline:
                    raise DatabaseError(
                        "the database changes faster than a change can be planned: "
                        "find out who else writes these rows again and again"
                    ) from None
                time.sleep(random.uniform(0.001, 0.05))  # so that many who started at once don't meet again
            except Disconnected:
                if lost or check:
                    raise
                # Whether it was committed shows in what is read next: what is done is not planned again.
                lost, sent = True, plan
                connection.reopen()
    finally:
        connection.close()


def plan_rows(connection, subject):
    """Read what the subject needs, and plan: (changes, rows by name, questions with their answers).

    First only where its rows should be. Tables are looked through when something differs there, so what is as wanted costs the same in any cluster.
    """
    if subject.near is not None and _as_wanted(connection, subject.near):
        return [], {}, []
    plan, named, asked = _plan(connection, subject)
    return _placed(connection, plan), named, asked


def _as_wanted(connection, near):
    """Whether all rows are in their places, and as wanted; not, where it can't be told from the places alone."""
    try:
        return not _plan(connection, near)[0]
    except Disconnected:
        raise
    except (SettingsError, DatabaseError):
        return False


def _placed(connection, plan):
    """The plan whose inserts ask for the places that are free: one may be held by a row that has another owner now."""
    places = {
        index: change.row.owner.place(change.row.role)
        for index, change in enumerate(plan)
        if change.kind == "insert" and change.row.stamped and change.row.table not in FIXED_NAMES
    }
    queries = [Query(plan[index].row.table, (is_uuid(place),), ()) for index, place in places.items()]
    free = {index: place for (index, place), rows in zip(places.items(), _select(connection, queries)) if not rows}
    return [replace(change, place=free.get(index)) for index, change in enumerate(plan)]


def _plan(connection, subject):
    own = read_rows(connection, subject.own())
    aliases = subject.aliases(own)
    if aliases:
        own += read_rows(connection, subject.own([Owner(*key) for key in aliases]))
    own = list({row.uuid: row for row in subject.mine(own, aliases)}.values())
    questions = subject.questions(own, aliases)
    raw = _select(connection, questions.values())
    answers = {name: [found(query, row) for row in rows] for (name, query), rows in zip(questions.items(), raw)}
    asked = [
        (query, [{column: row[column] for column in query.columns} for row in rows])
        for query, rows in zip(questions.values(), raw)
    ]
    wanted = subject.rows(own, aliases, answers)
    named = _by_name(connection, subject, wanted, own, aliases)
    return difference(wanted, own, named, aliases), named, asked


def _select(connection, queries):
    """The rows of each query as they came, all read at one moment."""
    queries = list(queries)
    return (
        [result["rows"] for result in connection.transact([query.operation() for query in queries])] if queries else []
    )


def read_rows(connection, queries):
    """The rows that meet the queries, all read at one moment."""
    return [found(query, row) for query, rows in zip(queries, _select(connection, queries)) for row in rows]


def _by_name(connection, subject, wanted, own, aliases):
    """(table, name) -> row, for holders, references, rows that go by name, and names that a new row would take."""
    have = set()
    named = {}
    for row in own:
        owner = (row.key(OWNER_TYPE), row.key(OWNER_NAME))
        have.add((row.table, owner[0], aliases.get(owner, owner[1]), row.role()))
        if row.name is not None:
            named[row.table, row.name] = row
    need = {}
    for row in wanted:
        new = row.table in FIXED_NAMES or (row.table, row.owner.type, row.owner.name, row.role) not in have
        if not row.stamped or (row.name is not None and new):
            need[row.table, row.name] = None
        if row.holder is not None and new:
            need[HOLDERS[row.table][0], row.holder] = None
        for value in row.columns.values():
            if isinstance(value, SetMembers):
                need.update(((ref.table, ref.name), None) for ref in value.refs)
    keys = [key for key in need if key not in named]
    queries = [by_name(table, name, subject.columns(table)) for table, name in keys]
    for key, query, rows in zip(keys, queries, _select(connection, queries)):
        if rows:
            named[key] = found(query, rows[0])
    return named
