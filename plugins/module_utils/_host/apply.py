# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Carry out the plan of a host: all of its steps, or, when one fails, none."""

from __future__ import annotations

import contextlib
import errno
from typing import TYPE_CHECKING

from .._common.errors import HostError
from .._common.failures import Failures
from .._netlink import links
from .._netlink.socket import RouteSocket

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from types import TracebackType

    from .steps.base import Step

LINK_TIMEOUT = 5.0  # seconds for a link that ovs-vswitchd is about to make


def apply_steps(steps: Iterable[Step], link_timeout: float = LINK_TIMEOUT) -> None:
    """Carry out steps in their order.

    :param link_timeout: seconds to wait for a link that does not exist yet.
    :raises HostError: a step failed; the steps before it have been undone in the opposite order.
    """
    parts = [part for step in steps for part in step.parts()]
    done: list[Step] = []
    with StepRunner(link_timeout) as runner:
        for part in parts:
            try:
                if not part.atomic:
                    done.append(part)
                if runner.run(part) and part.atomic:
                    done.append(part)
            except (OSError, HostError) as error:
                raise HostError(part.failure(error) + _roll_back(runner, done)) from error
            except BaseException:
                _roll_back(runner, done)
                raise


def undo_steps(steps: Sequence[Step]) -> None:
    """Undo steps that were carried out, in the opposite order. One that can't be undone keeps no other from it.

    :raises HostError: what could not be undone.
    """
    parts = [part for step in steps for part in step.parts()]
    with StepRunner(0) as runner:
        _undo(runner, parts).raise_any()


def _roll_back(runner: StepRunner, done: Sequence[Step]) -> str:
    """Undo steps. Return what to add to the text of the error."""
    runner.link_timeout = 0
    failures = _undo(runner, done)
    return f"; undoing what was done before failed too, do it by hand: {failures}" if failures else ""


def _undo(runner: StepRunner, done: Sequence[Step]) -> Failures:
    failures = Failures()
    for part in reversed(done):
        inverse = part.undo()
        if inverse is None:
            continue
        with failures.collected(inverse.describe()):
            try:
                runner.run(inverse)
            except OSError as error:
                if error.errno != errno.ENODEV:  # ENODEV: the link is gone, and with it what it had
                    raise
    return failures


class StepRunner:
    """Carries out single steps. Use it as a context manager.

    :ivar link_timeout: seconds to wait for a link that does not exist yet. 0: a missing link is an error at once.
    """

    def __init__(self, link_timeout: float) -> None:
        self.link_timeout = link_timeout
        self._stack = contextlib.ExitStack()
        self._kernel: RouteSocket | None = None

    def __enter__(self) -> StepRunner:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stack.close()

    def run(self, step: Step) -> bool:
        """Carry out a step. Return False when the state was there already.

        :raises OSError, HostError: it failed.
        """
        return step.apply(self)

    @property
    def kernel(self) -> RouteSocket:
        """The socket of the plan. It is opened with the first step that needs it."""
        if self._kernel is None:
            self._kernel = self._stack.enter_context(RouteSocket())
        return self._kernel

    def require_link(self, name: str) -> None:
        """Wait until a link exists.

        :raises HostError: it did not appear in time.
        :raises OSError: ENODEV, it does not exist and ``link_timeout`` is 0.
        """
        if self.link_timeout:
            links.wait_for_link(name, self.link_timeout)
        else:
            links.link_index(name)
