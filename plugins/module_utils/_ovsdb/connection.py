# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""One connection to one OVSDB database over unix, tcp or ssl (RFC 7047), through the ``ovs`` library of the host.

A remote is a comma-separated list such as ``ssl:10.0.0.1:6641,ssl:10.0.0.2:6641``: the first member that is
connected to its cluster and leads it is used (ovsdb-server(7), "Database clustering").
"""

from __future__ import annotations

import errno
import os
import time

from .._common.errors import DatabaseError, DatabaseUnreachable, Disconnected
from .replies import NOT_A_REMOTE, SERVER_COLUMNS, checked, unfit
from .tls import ERRORS, REFUSED, context

MISSING_LIBRARY = "the Python library 'ovs' is missing on this host: install python3-openvswitch (EL9: python3-openvswitch of the NFV SIG)"
AGAIN = 5.0  # seconds for a server that starts again


class Connection:
    """An open connection.

    :param remote: where the database is, see the module's text.
    :param database: its name, e.g. ``OVN_Northbound``.
    :param timeout: seconds for connecting, and for each answer.
    :param tls: paths ``private_key``, ``certificate``, ``ca_cert`` for ssl remotes.
    :raises DatabaseUnreachable: with one reason for each remote that was tried.
    """

    def __init__(self, remote, database, timeout=10.0, tls=None):
        self.remote = remote
        self.database = database
        self.timeout = timeout
        self.locks = set()
        self._rpc = None
        try:
            import ovs.jsonrpc
            import ovs.poller
            import ovs.stream
        except ImportError:
            raise DatabaseError(MISSING_LIBRARY) from None
        self._ovs = ovs
        self._tls = tls
        self._find()

    def reopen(self):
        """Connect anew after the connection was lost; a server that starts again, or a cluster that elects a leader, has a moment for it.

        :raises DatabaseUnreachable: as at first.
        """
        self.close()
        self.locks.clear()
        deadline = time.monotonic() + AGAIN
        while True:
            try:
                return self._find()
            except DatabaseUnreachable:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.05)

    def _find(self):
        """Connect to the first remote that can serve."""
        reasons = []
        for one in self.remote.split(","):
            reason = self._open(one.strip())
            if reason is None:
                return
            reasons.append(f"{one.strip()}: {reason}")
        raise DatabaseUnreachable("can't use database {} at {}".format(self.database, "; ".join(reasons)))

    def _open(self, remote):
        """Connect to one remote; None, or why it can't serve."""
        if not self._ovs.stream.Stream.is_valid_name(remote):
            return NOT_A_REMOTE
        tls = remote.startswith("ssl:")
        try:
            if tls:
                self._prove()
            error, stream = self._connect(remote)
            if tls and error in ERRORS:  # the library tells nothing else, also where nobody listens
                error, plain = self._connect("tcp:" + remote.partition(":")[2])
                if not error:
                    plain.close()
                    return REFUSED
        except DatabaseError as exc:
            return str(exc)
        except (ValueError, OverflowError):  # a port or a name that can't be
            return NOT_A_REMOTE
        if error:
            return _why(error)
        self._rpc = self._ovs.jsonrpc.Connection(stream)
        try:
            return self._leads()
        except DatabaseError as exc:
            self.close()
            # A server may look at our certificate when it has shown its own.
            return REFUSED if tls and isinstance(exc, Disconnected) else str(exc)

    def _connect(self, remote):
        """(0, stream), or an errno and None."""
        stream_class = self._ovs.stream.Stream
        try:
            return stream_class.open_block(stream_class.open(remote), int(self.timeout * 1000))
        except OSError as exc:
            return exc.errno or errno.EIO, None

    def _prove(self):
        """Give the library our certificate, which it does not look at before it connects."""
        context(self._tls)
        stream_class = self._ovs.stream.Stream
        stream_class.ssl_set_private_key_file(self._tls["private_key"])
        stream_class.ssl_set_certificate_file(self._tls["certificate"])
        stream_class.ssl_set_ca_cert_file(self._tls["ca_cert"])

    def _leads(self):
        """None when this server serves our database as its leader, else why not."""
        answer = self._request(
            "transact", ["_Server", {"op": "select", "table": "Database", "where": [], "columns": list(SERVER_COLUMNS)}]
        )
        reason = unfit(self.database, answer[0].get("rows", []))
        if reason:
            self.close()
        return reason

    @property
    def closed(self):
        """Whether it was lost or ended."""
        return self._rpc is None

    def close(self):
        """End the connection; twice is fine."""
        if self._rpc is not None:
            self._rpc.close()
            self._rpc = None

    def transact(self, operations):
        """Run ``operations`` (RFC 7047, 5.2) as one transaction.

        :returns: the result of each operation, in order.
        :raises Conflict: when a ``wait`` did not hold, or another client took the place of a new row; nothing was written then.
        :raises Disconnected: when the answer did not come.
        :raises DatabaseError: in words, when the server refused; nothing was written then.
        """
        operations = list(operations)
        return checked(self.database, operations, self._request("transact", [self.database, *operations]))

    def lock(self, name):
        """Ask for a named lock (RFC 7047, 4.1.8); it is ours while the connection lasts and :attr:`locks` has it."""
        if self._request("lock", [name])["locked"]:
            self.locks.add(name)
        return name in self.locks

    def _request(self, method, params):
        if self._rpc is None:
            raise Disconnected(f"the connection to {self.remote} is closed")
        request = self._ovs.jsonrpc.Message.create_request(method, params)
        error = self._rpc.send(request)
        deadline = time.monotonic() + self.timeout
        while not error:
            self._rpc.run()
            error, message = self._rpc.recv()
            if error == errno.EAGAIN:
                error = self._wait(deadline)
                continue
            if error:
                break
            if message.type == message.T_REQUEST and message.method == "echo":
                error = self._rpc.send(message.create_reply(message.params, message.id))
            elif message.type == message.T_NOTIFY and message.method in ("locked", "stolen"):
                (self.locks.add if message.method == "locked" else self.locks.discard)(message.params[0])
            elif message.type in (message.T_REPLY, message.T_ERROR) and message.id == request.id:
                if message.type == message.T_ERROR:
                    raise DatabaseError(f"{self.database} at {self.remote} refused the request: {message.error}")
                return message.result
        self.close()
        ended = error < 0 or ("ssl:" in self.remote and error in ERRORS)
        raise Disconnected(
            "the connection to {} at {} was lost before the answer came ({}): look whether the server runs, and run it again".format(
                self.database, self.remote, "end of stream" if ended else os.strerror(error)
            )
        )

    def _wait(self, deadline):
        """Block until something can be read or written; an errno when the time is over."""
        left = deadline - time.monotonic()
        if left <= 0:
            return errno.ETIMEDOUT
        poller = self._ovs.poller.Poller()
        self._rpc.wait(poller)
        self._rpc.recv_wait(poller)
        poller.timer_wait(int(left * 1000) + 1)
        poller.block()
        return 0


def _why(error):
    """Why a connection could not be opened, in words."""
    error = abs(error)
    if error == errno.ENOENT:
        return "there is no such socket: the server is not installed or not running"
    if error == errno.ECONNREFUSED:
        return "nobody listens there: start the server, or correct the remote"
    if error in (errno.EACCES, errno.EPERM):
        return "permission denied: run as root (become: true)"
    if error == errno.ETIMEDOUT:
        return "no answer in time: look at the address and at firewalls in between"
    return os.strerror(error)


class NoDatabase:
    """Stands for a database on a host that has none yet, so that check mode can plan there: every table is empty."""

    def transact(self, operations):
        """Answer selects; the one row of Open_vSwitch is there as soon as the server is."""
        row = {"_uuid": ["uuid", ""], "external_ids": ["map", []]}
        return [{"rows": [row] if operation["table"] == "Open_vSwitch" else []} for operation in operations]

    def close(self):
        """Nothing to end."""
