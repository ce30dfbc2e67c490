# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The unix socket on which the CNI plugin sends its requests; only root may use it."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import logging
import os
import time
from collections.abc import Callable, Coroutine
from typing import Any, NamedTuple, Protocol

from ..._common import inotify
from ..._common.retry import Pause
from ..._common.tasks import end
from . import protocol, result
from .errors import CniError, ErrorCode
from .protocol import LARGEST_REQUEST, Request

LOG = logging.getLogger("ovn-k8s-node")
PATIENCE = 10.0  # seconds for the whole of a request
BACKLOG = 1024  # connections that wait to be accepted
AGAIN = Pause(0.2, longest=5.0)  # seconds until a socket that can't be opened is tried again

# Called with the command, whether it failed, and its seconds.
Observer = Callable[[str, bool, float], object]
# A file's device, number, and the time of its last change in nanoseconds.
Identity = tuple[int, int, int]


class Runner(Protocol):
    """What carries requests out: :class:`.operations.Operations`."""

    def run(self, request: Request) -> Coroutine[Any, Any, dict[str, Any] | None]:
        """Return the result, None where the command has none. :raises CniError: the error for the runtime."""


class Reply(NamedTuple):
    """What the plugin gets: its exit code, and what it prints."""

    exit_code: int
    text: str

    def pack(self) -> bytes:
        """Return the bytes for the socket."""
        return b"%d\n%s" % (self.exit_code, self.text.encode())


def _error_reply(error: CniError, version: str) -> Reply:
    return Reply(1, json.dumps(result.error(error, version)))


TOO_LARGE = _error_reply(
    CniError(
        ErrorCode.INVALID_CONFIGURATION,
        f"the network configuration and the runtime's variables must have less than {LARGEST_REQUEST} bytes",
    ),
    "",
)


async def _payload(reader: asyncio.StreamReader) -> bytes | None:
    """Return a request; None: it is too large, or does not say how large it is."""
    try:
        length = int(await reader.readline())
    except ValueError:
        return None
    return await reader.readexactly(length) if 0 <= length <= LARGEST_REQUEST else None


class Endpoint:
    """Take requests from the socket, and send their results.

    :param observe: called after each request.
    :param on_change: called when what :meth:`problem` returns has changed.
    """

    def __init__(self, operations: Runner, observe: Observer, on_change: Callable[[], object]) -> None:
        self._operations = operations
        self._observe = observe
        self._on_change = on_change
        self._problem: str | None = "the socket for the CNI plugin is not open yet"
        self._server: asyncio.AbstractServer | None = None
        self._socket: Identity | None = None

    async def keep(self, path: str) -> None:
        """Open the socket again whenever somebody has removed or replaced it, for ever."""
        changed = asyncio.Event()
        watch = asyncio.ensure_future(inotify.watch([path], changed.set))
        try:
            while True:
                await changed.wait()
                changed.clear()
                # Removed before it was looked at for the first time: there is none, and None was kept.
                if (found := _identity(path)) is None or found != self._socket:
                    LOG.warning("%s was removed: opening it again", path)
                    await self.close()
                    await self._listen_in_the_end(path)
        finally:
            await end([watch])

    async def _listen_in_the_end(self, path: str) -> None:
        """Open the socket, as soon as that is possible."""
        for attempt in itertools.count():
            try:
                await self.listen(path)
                return
            except OSError as exc:
                problem = f"{path} can't be opened, where the CNI plugin sends its requests: {exc.strerror or exc}"
                if problem != self._problem:
                    LOG.error("%s; trying again", problem)
                self._set(problem)
            await asyncio.sleep(AGAIN.seconds(attempt))

    def problem(self) -> str | None:
        """Return why no request can come, in one sentence; None when they can."""
        return self._problem

    def _set(self, problem: str | None) -> None:
        if problem != self._problem:
            self._problem = problem
            self._on_change()

    async def listen(self, path: str) -> None:
        """Open the socket.

        A plugin that waits at the socket of an earlier server gets no answer, and connects again.
        """
        os.makedirs(os.path.dirname(path), 0o755, exist_ok=True)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)
        umask = os.umask(0o177)
        try:
            self._server = await asyncio.start_unix_server(self._serve, path, backlog=BACKLOG)
        finally:
            os.umask(umask)
        self._socket = _identity(path)
        self._set(None)

    async def close(self) -> None:
        """Take no more requests."""
        if self._server is not None:
            self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.TimeoutError):
            payload = await asyncio.wait_for(_payload(reader), PATIENCE)
            reply = TOO_LARGE if payload is None else await self._reply(payload, reader)
            writer.write(reply.pack())
            await writer.drain()
        writer.close()

    async def _reply(self, payload: bytes, reader: asyncio.StreamReader) -> Reply:
        """Carry a request out."""
        started, command, what = time.monotonic(), "", "a request"
        error: CniError | None = None
        text = ""
        try:
            request = protocol.parse(payload)
            command, what = request.command, f"{request.command} of {request.pod}"
            answer = await _while_connected(self._operations.run(request), reader)
            text = "" if answer is None else json.dumps(answer)
        except CniError as exc:
            if exc.code != ErrorCode.NOT_AVAILABLE:
                LOG.warning("%s: %s", what, exc.msg)
            error = exc
        except asyncio.CancelledError:
            error = CniError(ErrorCode.TRY_AGAIN_LATER, "the request was overtaken by a deletion of the same interface")
        except Exception as exc:
            LOG.exception("%s could not be done", what)
            error = CniError(ErrorCode.FAILED, f"a fault in ovn-k8s-node: {type(exc).__name__}: {exc}")
        seconds = time.monotonic() - started
        LOG.debug("%s: %s after %.3f s", what, "done" if error is None else f"code {error.code:d}", seconds)
        self._observe(command, error is not None, seconds)
        return Reply(0, text) if error is None else _error_reply(error, protocol.version_of(payload))


def _identity(path: str) -> Identity | None:
    """Return what tells a file from a later one of its name, None: there is none.

    A file system gives the number of a removed file to the next one, so the time is part of it.
    """
    try:
        found = os.stat(path, follow_symlinks=False)
    except OSError:
        return None
    return found.st_dev, found.st_ino, found.st_mtime_ns


async def _while_connected(
    work: Coroutine[Any, Any, dict[str, Any] | None], reader: asyncio.StreamReader
) -> dict[str, Any] | None:
    """Return the work's result. When the plugin is killed, nobody uses the result: the work is cancelled."""
    task, closed = asyncio.ensure_future(work), asyncio.ensure_future(reader.read(1))
    waiting: set[asyncio.Future[Any]] = {task, closed}
    try:
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            task.cancel()
        return await task
    finally:
        closed.cancel()
