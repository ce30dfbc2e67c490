# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""One connection to one OVSDB database over unix, tcp or ssl (RFC 7047), through the ``ovs`` library of the host.

A remote is a comma-separated list such as ``ssl:10.0.0.1:6641,ssl:10.0.0.2:6641``. The first member that is connected
to its cluster and leads it is used (ovsdb(7), "Clustered Database Service Model").
"""

from __future__ import annotations

import errno
import os
import time
from typing import TYPE_CHECKING

from .._common.errors import DatabaseError, DatabaseUnreachable, Disconnected
from .._common.retry import Pause, retry
from .replies import MEMBER_TIMEOUT, NOT_A_REMOTE, SERVER_COLUMNS, check_results, unusable_reason
from .tls import REFUSED, SSL_ERROR_NUMBERS, checked_files, tls_context

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from .operations import Operation
    from .tls import MaybeTls

MISSING_LIBRARY = (
    "the Python library 'ovs' is missing on this host: "
    "install python3-openvswitch (EL9: python3-openvswitch of the NFV SIG)"
)
REOPEN_TIME = 5.0  # seconds for a server that restarts, or a cluster that elects a leader
REOPEN_PAUSE = Pause(0.05)
SERVER_MONITOR = "server"


class _NoLeader(DatabaseUnreachable):
    """Members answer, and none of them can be used now."""


class Connection:
    """An open connection.

    :param remote: where the database is, see the module's text.
    :param database: its name, for example ``OVN_Northbound``.
    :param timeout: seconds for connecting, and for each reply.
    :param tls: paths ``private_key``, ``certificate``, ``ca_cert`` for ssl remotes.
    :param leader_only: false: the first member that is connected will do, or a relay; to read.
    :raises DatabaseUnreachable: with a reason for each remote that was tried.

    :ivar locks: the names of the OVSDB locks that this connection has.
    """

    def __init__(
        self,
        remote: str,
        database: str,
        timeout: float = 10.0,
        tls: MaybeTls = None,
        leader_only: bool = True,
    ) -> None:
        self.remote = remote
        self.database = database
        self.timeout = timeout
        self.locks: set[str] = set()
        self._remotes = [part.strip() for part in remote.split(",")]
        self._leader_only = leader_only
        self._servers: dict[str, dict[str, Any]] = {}  # rows of the server's table Database
        self._rpc: Any = None
        try:
            import ovs.jsonrpc
            import ovs.poller
            import ovs.stream
        except ImportError:
            raise DatabaseError(MISSING_LIBRARY) from None
        self._ovs: Any = ovs
        self._tls = tls
        if len(self._remotes) == 1:
            self._connect_to_first()
        else:  # a cluster may be electing its leader
            retry(self._connect_to_first, _NoLeader, REOPEN_TIME, REOPEN_PAUSE)

    def reopen(self) -> None:
        """Connect again after the connection was lost; try for a few seconds.

        :raises DatabaseUnreachable: with a reason for each remote that was tried.
        """
        self.close()
        self.locks.clear()
        retry(self._connect_to_first, DatabaseUnreachable, REOPEN_TIME, REOPEN_PAUSE)

    def _connect_to_first(self) -> None:
        """Connect to the first remote that can be used."""
        reasons = []
        is_cluster = False
        for remote in self._remotes:
            reason = self._try(remote)
            if reason is None:
                return
            is_cluster = is_cluster or bool(self._servers)
            reasons.append(f"{remote}: {reason}")
        error = _NoLeader if is_cluster else DatabaseUnreachable
        raise error(f"can't use database {self.database} at {'; '.join(reasons)}")

    def _try(self, remote: str) -> str | None:
        """Connect to one remote, and return None; or return why it can't be used."""
        if not self._ovs.stream.Stream.is_valid_name(remote):
            return NOT_A_REMOTE
        uses_tls = remote.startswith("ssl:")
        self._servers = {}
        try:
            if uses_tls:
                self._load_tls_files()
            error, stream = self._open_stream(remote)
            if uses_tls and error in SSL_ERROR_NUMBERS:
                error = self._tcp_error(remote)
                if not error:
                    return REFUSED
        except DatabaseError as exc:
            return str(exc)
        except (ValueError, OverflowError):  # an impossible port or name
            return NOT_A_REMOTE
        if error:
            return _reason(error)
        self._rpc = self._ovs.jsonrpc.Connection(stream)
        try:
            reason = self._unusable_reason()
        except DatabaseError as exc:
            # The server may check our certificate only after the handshake (TLS 1.3, RFC 8446, 4.4.2).
            reason = REFUSED if uses_tls and isinstance(exc, Disconnected) else str(exc)
        if reason:
            self.close()
        return reason

    def _open_stream(self, remote: str) -> tuple[int, Any]:
        """Return (0, stream), or (errno, None)."""
        stream_class = self._ovs.stream.Stream
        try:
            error, stream = stream_class.open_block(stream_class.open(remote), int(self._member_timeout() * 1000))
        except OSError as exc:
            return exc.errno or errno.EIO, None
        return error, stream

    def _tcp_error(self, remote: str) -> int:
        """Return the errno of a plain TCP connection to an ssl remote, 0 when it is accepted.

        For ssl the library returns the same error when nobody listens as when the certificates are wrong.
        """
        error, stream = self._open_stream(f"tcp:{remote.partition(':')[2]}")
        if not error:
            stream.close()
        return error

    def _load_tls_files(self) -> None:
        """Give our files to the library, which does not report what is wrong with them.

        :raises DatabaseError: they can't be used.
        """
        tls_context(self._tls)
        files = checked_files(self._tls)
        stream_class = self._ovs.stream.Stream
        stream_class.ssl_set_private_key_file(files["private_key"])
        stream_class.ssl_set_certificate_file(files["certificate"])
        stream_class.ssl_set_ca_cert_file(files["ca_cert"])

    def _member_timeout(self) -> float:
        return self.timeout if len(self._remotes) == 1 else min(MEMBER_TIMEOUT, self.timeout)

    def _unusable_reason(self) -> str | None:
        """Return why the connected server can't be used; None when it can. From then on it tells when that changes."""
        asked = ["_Server", SERVER_MONITOR, {"Database": {"columns": list(SERVER_COLUMNS)}}]
        self._take_in_servers(self._request("monitor", asked, self._member_timeout()))
        return unusable_reason(self.database, self._servers.values(), self._leader_only)

    def _take_in_servers(self, updates: dict[str, Any]) -> None:
        """Take in rows of the server's table Database (RFC 7047, 4.1.6)."""
        for uuid, update in updates.get("Database", {}).items():
            if "new" in update:
                self._servers[uuid] = update["new"]
            else:
                self._servers.pop(uuid, None)

    @property
    def closed(self) -> bool:
        """Return whether the connection was lost or closed."""
        return self._rpc is None

    def close(self) -> None:
        """Close the connection. It may be closed already."""
        if self._rpc is not None:
            self._rpc.close()
            self._rpc = None

    def transact(self, operations: Iterable[Operation]) -> list[Any]:
        """Run ``operations`` (RFC 7047, 5.2) as one transaction.

        :returns: the result of each operation, in order.
        :raises Conflict: a ``wait`` did not hold, or another client inserted a row with the UUID of a new one. Nothing
            was written.
        :raises Disconnected: the reply did not come.
        :raises DatabaseError: the server refused the transaction. Nothing was written.
        """
        operations = list(operations)
        return check_results(self.database, operations, self._request("transact", [self.database, *operations]))

    def lock(self, name: str) -> bool:
        """Ask for a lock (RFC 7047, 4.1.8), and return whether this connection has it now.

        Else the server gives it later: :attr:`locks` has its name then.
        """
        if self._request("lock", [name])["locked"]:
            self.locks.add(name)
        return name in self.locks

    def _request(self, method: str, params: list[Any], timeout: float | None = None) -> Any:
        """Send a request, and return the result of its reply."""
        if self._rpc is None:
            raise Disconnected(f"the connection to {self.remote} is closed")
        if self._servers and unusable_reason(self.database, self._servers.values(), self._leader_only):
            # What comes after this moment is another member's to decide, and its locks are others.
            self.close()
            self.locks.clear()
            raise Disconnected(f"the server of {self.database} at {self.remote} leads no more")
        request = self._ovs.jsonrpc.Message.create_request(method, params)
        error = self._rpc.send(request)
        deadline = time.monotonic() + (self.timeout if timeout is None else timeout)
        while not error:
            self._rpc.run()
            error, message = self._rpc.recv()
            if error == errno.EAGAIN:
                error = self._wait(deadline)
            elif not error and message.id == request.id and message.type == message.T_REPLY:
                return message.result
            elif not error and message.id == request.id and message.type == message.T_ERROR:
                raise DatabaseError(f"{self.database} at {self.remote} refused the request: {message.error}")
            elif not error:
                error = self._handle(message)
        self.close()
        # The library returns a negative number (EOF) at the end of the stream, and TLS errors as errno.
        ended = error < 0 or ("ssl:" in self.remote and error in SSL_ERROR_NUMBERS)
        raise Disconnected(
            f"the connection to {self.database} at {self.remote} was lost before the reply came "
            f"({'end of stream' if ended else os.strerror(error)}): check that the server runs, and run it again"
        )

    def _handle(self, message: Any) -> int:
        """Handle what the server sends beside replies; return an errno or 0."""
        if message.type == message.T_REQUEST and message.method == "echo":
            error: int = self._rpc.send(message.create_reply(message.params, message.id))
            return error
        if message.type == message.T_NOTIFY and message.method == "locked":
            self.locks.add(message.params[0])
        elif message.type == message.T_NOTIFY and message.method == "stolen":
            self.locks.discard(message.params[0])
        elif message.type == message.T_NOTIFY and message.method == "update" and message.params[0] == SERVER_MONITOR:
            self._take_in_servers(message.params[1])
        return 0

    def _wait(self, deadline: float) -> int:
        """Block until the connection can be read or written; return ETIMEDOUT at the deadline, else 0."""
        left = deadline - time.monotonic()
        if left <= 0:
            return errno.ETIMEDOUT
        poller = self._ovs.poller.Poller()
        self._rpc.wait(poller)
        self._rpc.recv_wait(poller)
        poller.timer_wait(int(left * 1000) + 1)
        poller.block()
        return 0


def _reason(error: int) -> str:
    """Return why a connection could not be opened.

    :param error: an errno; the library returns some of them negative.
    """
    reasons = {
        errno.ENOENT: "there is no such socket: the server is not installed or not running",
        errno.ECONNREFUSED: "nobody listens there: start the server, or correct the remote",
        errno.EACCES: "permission denied: run as root (ansible_become: true)",
        errno.EPERM: "permission denied: run as root (ansible_become: true)",
        errno.ETIMEDOUT: "no reply in time: check the address, and firewalls on the way",
    }
    return reasons.get(abs(error), os.strerror(abs(error)))


class NoDatabase:
    """Stands for a database on a host that has none yet, so that check mode can plan there.

    Every table is empty but ``Open_vSwitch``, whose row exists as soon as the server runs.
    """

    timeout = 0.0
    closed = False

    def transact(self, operations: Iterable[Operation]) -> list[Any]:
        """Return the results of ``select`` operations."""
        row = {"_uuid": ["uuid", ""], "external_ids": ["map", []]}
        return [{"rows": [row] if operation["table"] == "Open_vSwitch" else []} for operation in operations]

    def reopen(self) -> None:
        """Do nothing: there is no connection to lose."""

    def close(self) -> None:
        """Do nothing: there is no connection."""
