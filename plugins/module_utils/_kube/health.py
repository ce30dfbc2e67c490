# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whether the API server answers: a watch can't tell, since a server has nothing to say of objects that do not change."""

from __future__ import annotations

import asyncio
import logging
import random

from .._common.errors import APIRefused, KubernetesError

LOG = logging.getLogger("kubernetes")
PERIOD, PATIENCE = 10.0, 10.0  # seconds between two questions, and until one counts as unanswered
SILENT, PAUSE = 2, 1.0  # so many questions in a row, a moment apart, without an answer mean that the server is away


class Pulse:
    """Asks again and again.

    What stands between (a balancer, a server that hangs) may keep connections open that lead nowhere any more. So when the server answers again after
    it was taken for away, all watches begin anew, from where they were. Any answer is one, also a no.

    :ivar problem: why the server is taken for away, in one sentence; None while it answers.
    """

    def __init__(self, client):
        self.problem = None
        self._client = client

    async def run(self):
        """For ever."""
        silent = 0
        while True:
            problem = await self._ask()
            silent = silent + 1 if problem else 0
            if 0 < silent < SILENT:
                await asyncio.sleep(PAUSE)
                continue
            if problem is None and self.problem is not None:
                LOG.warning("the API server answers again: all watches begin anew")
                self._client.end_watches()
            elif problem is not None and self.problem is None:
                LOG.warning("%s", problem)
            self.problem = problem
            await asyncio.sleep(PERIOD * random.uniform(0.8, 1.2))

    async def _ask(self):
        try:
            await asyncio.wait_for(self._client.get("/version"), PATIENCE)
        except asyncio.TimeoutError:
            return f"the API server {self._client.settings.server} does not answer"
        except APIRefused:
            return None
        except KubernetesError as exc:
            return str(exc)
        return None
