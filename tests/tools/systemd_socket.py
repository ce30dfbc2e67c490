# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""The socket on which systemd hears of a unit's program, sd_notify(3)."""

from __future__ import annotations

import pathlib
import socket


class SystemdSocket:
    """Receives a program's messages to systemd (sd_notify(3)).

    Its library is Debian's, made for the host's interpreter; the tests use the same version.

    :param folder: for the socket, and for what makes the library found.
    """

    def __init__(self, folder):
        self.path = folder / "notify"
        self.libraries = folder / "libraries"
        self.libraries.mkdir()
        (self.libraries / "systemd").symlink_to("/usr/lib/python3/dist-packages/systemd")
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(self.path))

    def hears(self, words, seconds=30):
        """Wait for this message. :raises TimeoutError: when nothing comes in time."""
        self._socket.settimeout(seconds)
        while self._socket.recv(4096).decode() != words:
            pass

    def is_silent(self):
        """Whether nothing was told so far."""
        self._socket.setblocking(False)
        try:
            return not self._socket.recv(4096)
        except BlockingIOError:
            return True

    def close(self):
        """End it."""
        self._socket.close()
        pathlib.Path(self.path).unlink()
