# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects programs whose health and metrics anybody may ask for: no client occupies their server."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from ansible_collections.ovn.kubernetes.plugins.module_utils._common.http_server import Answer, HttpServer


async def respond(path):
    """Answer with the path."""
    if path == "/fault":
        raise RuntimeError(path)
    return Answer(200, path.encode())


async def ask(port, request):
    """The whole answer."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request)
    try:
        return (await asyncio.wait_for(reader.read(), 10)).decode()
    finally:
        writer.close()


def serve(story, **limits):
    """Run a test with a server at a free port."""

    async def whole():
        server = HttpServer(**limits)
        listening = await server.listen("127.0.0.1", 0, respond)
        try:
            await story(listening.sockets[0].getsockname()[1])
        finally:
            listening.close()
            server.close()

    asyncio.run(whole())


@pytest.mark.parametrize(
    ("request_", "status", "body"),
    [
        (b"GET /page?x=1 HTTP/1.1\r\n\r\n", "200 OK", "/page"),
        (b"HEAD /page HTTP/1.1\r\n\r\n", "200 OK", ""),
        (b"POST /page HTTP/1.1\r\nContent-Length: 9\r\n\r\nx", "200 OK", "/page"),
        (b"GET /fault HTTP/1.1\r\n\r\n", "500 Internal Server Error", "the log has the reason\n"),
        (b"hello\r\n\r\n", "400 Bad Request", "this is no request of HTTP/1.1\n"),
        (b"x" * 17000, "431 Request Header Fields Too Large", "the request is too large\n"),
    ],
)
def test_requests(request_, status, body):
    """Protects whoever asks, also for nonsense: each request has one answer, and a body is not waited for."""

    async def story(port):
        head, _end, rest = (await ask(port, request_)).partition("\r\n\r\n")
        assert (head.split("\r\n")[0], rest) == (f"HTTP/1.1 {status}", body)

    serve(story)


def test_idle_connections():
    """Protects the server's file descriptors: clients that send nothing keep nobody out, and end by themselves."""

    async def story(port):
        idle = [await asyncio.open_connection("127.0.0.1", port) for _number in range(20)]
        assert (await ask(port, b"GET /page HTTP/1.1\r\n\r\n")).endswith("/page")
        for reader, writer in idle:
            with contextlib.suppress(ConnectionResetError):
                assert await asyncio.wait_for(reader.read(), 10) == b""
            writer.close()

    serve(story, connections=4, seconds=0.2)
