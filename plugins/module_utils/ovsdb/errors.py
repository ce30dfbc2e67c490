# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What can go wrong with a database; every text is one sentence for the user: what, where, what to do."""

from __future__ import annotations


class DatabaseError(Exception):
    """The database refused, or what it holds does not fit what is wanted."""


class Unreachable(DatabaseError):
    """No connection to any of the remotes, or none of them leads."""


class Disconnected(DatabaseError):
    """The connection ended while an answer was awaited: the transaction may or may not have been committed."""


class GuardFailed(DatabaseError):
    """A ``wait`` operation found the database changed since it was read: read again, plan again."""


class LockLost(DatabaseError):
    """The transaction asserts a lock that another client holds."""
