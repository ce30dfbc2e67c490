# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""A path to a database on which what the server says can be held up, and comes in one piece then."""

from __future__ import annotations

import contextlib
import socket
import threading


class SlowPath:
    """Stands before a server of :mod:`database_server`, for any number of connections."""

    def __init__(self, server):
        self._server = server
        self._lock = threading.Lock()
        self._held = None  # connection -> what the server has said to it; None: nothing is held up
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(server.directory / "slow"))
        self._listener.listen()
        self.remote = f"unix:{server.directory / 'slow'}"
        threading.Thread(target=self._accept, daemon=True).start()

    def hold(self):
        """From now on nothing that the server says arrives."""
        with self._lock:
            self._held = {}

    def heard(self, *words):
        """Whether the server has said all these words meanwhile."""
        with self._lock:
            return all(any(word in said for said in self._held.values()) for word in words)

    def release(self):
        """Let everything arrive, in one piece."""
        with self._lock:
            for near, said in self._held.items():
                near.sendall(said)
            self._held = None

    def end(self):
        """Nobody can connect any more."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self):
        while True:
            try:
                near, _address = self._listener.accept()
            except OSError:
                return
            far = socket.socket(socket.AF_UNIX)
            far.connect(str(self._server.socket))
            for pair in ((near, far, far.sendall), (far, near, lambda data, near=near: self._hand_on(near, data))):
                threading.Thread(target=self._copy, args=pair, daemon=True).start()

    @staticmethod
    def _copy(source, target, hand_on):
        with contextlib.suppress(OSError):
            while data := source.recv(1 << 20):
                hand_on(data)
        for end in (source, target):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def _hand_on(self, near, data):
        with self._lock:
            if self._held is None:
                near.sendall(data)
            else:
                self._held[near] = self._held.get(near, b"") + data
