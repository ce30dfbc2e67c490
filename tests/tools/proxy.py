# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""A connection to a database that is lost, at a moment that the test chooses."""

from __future__ import annotations

import contextlib
import json
import socket
import threading


class Proxy(threading.Thread):
    """Stands before a server of :mod:`database_server`, and ends connections at the worst moment.

    :param cut: called with the number of the connection and each request; says "before" or "after" where the
        connection is to end, else None.
    """

    def __init__(self, server, cut):
        super().__init__(daemon=True)
        self.server, self.cut = server, cut
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(server.directory / "proxy"))
        self.listener.listen()
        self.remote = f"unix:{server.directory / 'proxy'}"
        self.connections = 0
        self.start()

    def end(self):
        """Nobody can connect any more."""
        with contextlib.suppress(OSError):  # ended before
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.join(10)

    def run(self):
        while True:
            try:
                near, _address = self.listener.accept()
            except OSError:
                return
            self.connections += 1
            with near, socket.socket(socket.AF_UNIX) as far:
                far.connect(str(self.server.socket))
                self._serve(near, far)

    def _serve(self, near, far):
        while True:
            request = _message(near)
            if request is None:
                return
            cut = self.cut(self.connections, request)
            if cut == "before":
                return
            far.sendall(json.dumps(request).encode())
            answer = _message(far)
            if cut == "after":
                return  # the server has done it; nobody hears of it
            near.sendall(json.dumps(answer).encode())


def _message(end):
    """The next message, None at the end of the stream."""
    text = ""
    while True:
        data = end.recv(1 << 16)
        if not data:
            return None
        text += data.decode()
        try:
            return json.loads(text)
        except ValueError:
            continue


def commits(request):
    """Whether a request is a change's commit, by the comment that it has; what takes a change back has none."""
    return request["method"] == "transact" and any(
        operation.get("op") == "comment" for operation in request["params"][1:]
    )


def proxies(server):
    """Makes proxies before ``server``, for a fixture; ``cut`` as :class:`Proxy` has it."""
    made = []

    def make(cut):
        made.append(Proxy(server, cut))
        return made[-1]

    yield make
    for one in made:
        one.end()
