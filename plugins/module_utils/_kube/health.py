# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Check that the API server replies. A watch can't show it: a server sends nothing about unchanged objects."""

from __future__ import annotations

import asyncio
import logging
import random
from typing import TYPE_CHECKING

from .._common.errors import APIRefused, KubernetesError

if TYPE_CHECKING:
    from collections.abc import Callable

    from .client import Client

LOG = logging.getLogger("kubernetes")
PERIOD = 10.0  # seconds between two requests
TIMEOUT = 10.0  # seconds for a reply
FAILURES = 2  # requests in a row without a reply after which the server counts as away
FAILURE_PAUSE = 1.0  # seconds between them


class HealthCheck:
    """Requests in a loop.

    A load balancer, or a server that hangs, may keep connections open over which nothing comes any more. So when the
    server replies again after it was away, all watches are closed and begin again where they were. An error of the API
    server is a reply too; but when it says that it can't serve, and another one can, the client asks that one: watches
    of a server that has lost its database stay open, and nothing comes.

    :param on_state: called without arguments when :attr:`problem` comes or goes.

    :ivar problem: why the server counts as away, in one sentence; None while it replies.
    """

    def __init__(self, client: Client, on_state: Callable[[], object] | None = None) -> None:
        self.problem: str | None = None
        self._client = client
        self._on_state = on_state or (lambda: None)

    async def run(self) -> None:
        """Check for ever."""
        failures = 0
        while True:
            problem = await self._check()
            failures = failures + 1 if problem else 0
            if 0 < failures < FAILURES:
                await asyncio.sleep(FAILURE_PAUSE)
                continue
            if problem is None and self.problem is not None:
                LOG.warning("the API server answers again: all watches begin again")
                self._client.end_watches()
            elif problem is not None and self.problem is None:
                LOG.warning("%s", problem)
            self._set(problem)
            await asyncio.sleep(PERIOD * random.uniform(0.8, 1.2))

    async def now(self) -> None:
        """Check once; one request without a reply counts already."""
        problem = await self._check()
        if problem is not None:
            LOG.warning("%s", problem)
            self._set(problem)

    def _set(self, problem: str | None) -> None:
        was, self.problem = self.problem, problem
        if (was is None) != (problem is None):
            self._on_state()

    async def _check(self) -> str | None:
        """Return why the server does not reply; None when it does."""
        server = self._client.server
        try:
            await asyncio.wait_for(self._client.ready(), TIMEOUT)
        except asyncio.TimeoutError:
            self._client.leave(server)
            return f"the API server {server} does not answer"
        except APIRefused:
            return None
        except KubernetesError as exc:
            return str(exc)
        return None
