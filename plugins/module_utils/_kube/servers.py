# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which of several API servers with the same objects a client asks."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

LOG = logging.getLogger("kubernetes")
CONNECT_TIMEOUT = 3.0  # seconds for a connection, where another server can be asked


class Servers:
    """One is asked until it can't be reached, and then the next.

    :param urls: the servers' URLs.
    """

    def __init__(self, urls: Sequence[str]) -> None:
        self._urls = urls
        self._place = 0

    def __len__(self) -> int:
        return len(self._urls)

    @property
    def current(self) -> str:
        """The URL of the one that is asked now."""
        return self._urls[self._place]

    def leave(self, url: str) -> bool:
        """Ask the next one from now on; return whether that is so: it is not where another caller has left this one."""
        if len(self._urls) == 1 or url != self.current:
            return False
        self._place = (self._place + 1) % len(self._urls)
        LOG.warning("the API server %s can't be reached: %s is asked from now on", url, self.current)
        return True

    def connect_timeout(self, timeout: float) -> float:
        """Return the seconds for a connection.

        :param timeout: those for a reply.
        """
        return timeout if len(self._urls) == 1 else min(timeout, CONNECT_TIMEOUT)
