# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What all steps of a host's plan have in common."""

from __future__ import annotations

import abc
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

from ..._common.errors import HostError
from ..advice import advice

if TYPE_CHECKING:
    from typing import Protocol

    from ..._netlink.socket import RouteSocket

    class StepContext(Protocol):
        """What a step needs to be carried out."""

        @property
        def kernel(self) -> RouteSocket:
            """The socket of the plan. It is opened with the first step that needs it."""

        def require_link(self, name: str) -> None:
            """Wait until a link exists.

            :raises HostError: it did not appear in time.
            :raises OSError: ENODEV, it does not exist and nothing is waited for.
            """


class Step(abc.ABC):
    """A step of a plan: it describes itself, knows its inverse, and carries itself out. Its fields are data only.

    Carrying out a step twice does no harm.

    :cvar atomic: the step is done as a whole or not at all. False: when it fails, a part of it may have been done.
    """

    atomic = True

    @abc.abstractmethod
    def describe(self) -> str:
        """Return the step as one line of a plan."""

    @abc.abstractmethod
    def as_dict(self) -> dict[str, Any]:
        """Return the step for a module's result, as values that JSON can hold."""

    @abc.abstractmethod
    def before(self) -> list[str]:
        """Return the lines of a diff that show the state before the step."""

    @abc.abstractmethod
    def after(self) -> list[str]:
        """Return the lines of a diff that show the state after the step."""

    @abc.abstractmethod
    def undo(self) -> Step | None:
        """Return the inverse of this step, None when there is nothing to roll back."""

    @abc.abstractmethod
    def apply(self, context: StepContext) -> bool:
        """Carry out the step. Return False when the state was there already.

        :raises OSError, HostError: it failed.
        """

    def parts(self) -> tuple[Step, ...]:
        """Return the steps that this one consists of, in order. Each part has its own inverse."""
        return (self,)

    def failure(self, error: OSError | HostError) -> str:
        """Return the sentence for the user about an error of :meth:`apply`."""
        if isinstance(error, HostError):
            return str(error)
        text = advice(error.errno)
        return f"{self.describe()} failed: {error.strerror or error}{f' ({text})' if text else ''}"


P = TypeVar("P", bound="PresenceStep")


class PresenceStep(Step):
    """A step that adds or removes one thing.

    :ivar present: True: add it, False: remove it.
    """

    present: bool

    @property
    @abc.abstractmethod
    def thing(self) -> str:
        """The thing in words."""

    @property
    def verb(self) -> str:
        """What the step does with the thing."""
        return "add" if self.present else "remove"

    def describe(self) -> str:
        return f"{self.thing}: {self.verb}"

    def before(self) -> list[str]:
        return [] if self.present else [self.thing]

    def after(self) -> list[str]:
        return [self.thing] if self.present else []

    def undo(self: P) -> P:
        return replace(self, present=not self.present)  # type: ignore[type-var]
