# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The unix socket on which the plugin asks; only root may."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import time

from . import protocol
from .protocol import FAILED, TRY_AGAIN, CniError

LOG = logging.getLogger("ovn-k8s-node")
LARGEST = 1 << 20  # bytes of a request


class Endpoint:
    """Takes requests and gives answers.

    :param operations: :class:`.operations.Operations`.
    :param timed: called with (command, whether it failed, seconds) for each request.
    """

    def __init__(self, operations, timed):
        self._operations = operations
        self._timed = timed
        self._server = None

    async def listen(self, path):
        """Open the socket; a connection in the queue of an older server's socket finds nobody, and the plugin asks again."""
        os.makedirs(os.path.dirname(path), 0o755, exist_ok=True)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)
        before = os.umask(0o177)
        try:
            self._server = await asyncio.start_unix_server(self._serve, path, backlog=1024)
        finally:
            os.umask(before)

    async def close(self):
        """Take no more requests."""
        if self._server is not None:
            self._server.close()

    async def _serve(self, reader, writer):
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            try:
                length = int(await reader.readline())
            except ValueError:
                length = LARGEST + 1
            if 0 < length <= LARGEST:
                writer.write(await self._answer(await reader.readexactly(length), reader))
                await writer.drain()
        writer.close()

    async def _answer(self, payload, reader):
        """The exit code, a newline, and what is to be printed; nothing when the plugin has gone."""
        began, command, what, version = time.monotonic(), "", "a request", protocol.version_of(payload)
        try:
            request = protocol.parse(payload)
            command, what = request.command, f"{request.command} of {request.pod}"
            answer = await self._while_asked(self._operations.run(request), reader)
            code, text = 0, "" if answer is None else json.dumps(answer)
        except CniError as exc:
            if exc.code != protocol.NOT_AVAILABLE:
                LOG.warning("%s: %s", what, exc.msg)
            code, text = 1, json.dumps(protocol.error(exc, version))
        except asyncio.CancelledError:
            code, text = (
                1,
                json.dumps(
                    protocol.error(
                        CniError(TRY_AGAIN, "the request was overtaken by a deletion of the same interface"), version
                    )
                ),
            )
        except Exception as exc:
            LOG.exception("%s could not be done", what)
            code, text = (
                1,
                json.dumps(
                    protocol.error(CniError(FAILED, f"a fault in ovn-k8s-node: {type(exc).__name__}: {exc}"), version)
                ),
            )
        self._timed(command, code != 0, time.monotonic() - began)
        return b"%d\n%s" % (code, text.encode())

    @staticmethod
    async def _while_asked(work, reader):
        """The work's result; when the plugin is killed, nobody will use it, and the work is cancelled."""
        work, ended = asyncio.ensure_future(work), asyncio.ensure_future(reader.read(1))
        try:
            await asyncio.wait((work, ended), return_when=asyncio.FIRST_COMPLETED)
            if not work.done():
                work.cancel()
            return await work
        finally:
            ended.cancel()
