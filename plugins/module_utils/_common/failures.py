# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Do several things although some of them fail, and say at the end what failed: for every way back."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from .errors import HostError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class Failures:
    """What has failed so far.

    :ivar texts: a sentence for each failure, in order.
    """

    def __init__(self) -> None:
        self.texts: list[str] = []

    @contextlib.contextmanager
    def collected(self, what: str = "") -> Iterator[None]:
        """Keep the error of the block, whatever it is: one of this program too must not keep the rest from being done.

        :param what: what the block does, for the sentence.
        """
        try:
            yield
        except Exception as error:
            self.texts.append(": ".join(filter(None, [what, sentence(error)])))

    def __bool__(self) -> bool:
        """Return whether something has failed."""
        return bool(self.texts)

    def __str__(self) -> str:
        return "; ".join(dict.fromkeys(self.texts))

    def raise_any(self) -> None:
        """Check that nothing has failed.

        :raises HostError: what has.
        """
        if self.texts:
            raise HostError(str(self))


def do_all(*works: Callable[[], object]) -> None:
    """Do several things, each of them whatever became of those before it.

    :raises HostError: what has failed.
    """
    failures = Failures()
    for work in works:
        with failures.collected():
            work()
    failures.raise_any()


def sentence(error: BaseException) -> str:
    """Return what an error says, in one line, and never nothing."""
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return " ".join(str(text).split())
