# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects a host whose change fails: what was done is rolled back, and the error names what was not."""

from __future__ import annotations

import pytest

from ansible_collections.ovn.kubernetes.plugins.module_utils._common.errors import (
    DatabaseError,
    HostError,
    RollbackFailed,
)
from ansible_collections.ovn.kubernetes.plugins.module_utils._host.change import _Rollback


def fail(error):
    raise error


def test_inverses_run_in_the_opposite_order():
    """Protects what depends on earlier phases, such as addresses on a link of new rows."""
    done, rollback = [], _Rollback()
    with pytest.raises(HostError, match=r"^cause$"), rollback:
        rollback.add(lambda: done.append("first"))
        rollback.add(lambda: done.append("second"))
        raise HostError("cause")
    assert done == ["second", "first"]


def test_an_inverse_that_fails_hides_neither_the_cause_nor_the_others():
    """Protects the other phases, and the user, who has to know the cause and what stays."""
    done, rollback = [], _Rollback()

    def change():
        with rollback:
            rollback.add(lambda: done.append("first"))
            rollback.add(lambda: fail(DatabaseError("gone")))
            raise HostError("cause")

    with pytest.raises(
        RollbackFailed, match=r"^cause; what was done before could not be rolled back: gone: "
    ) as raised:
        change()
    assert done == ["first"] and isinstance(raised.value.__cause__, HostError)


def test_nothing_runs_after_success_or_once_it_is_too_late():
    """Protects a change that worked, and one whose bridge may be deleted already."""
    rollback = _Rollback()
    with rollback:
        rollback.add(lambda: fail(AssertionError))
    with pytest.raises(HostError), rollback:
        rollback.clear()
        raise HostError("cause")
