# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Where the modules and programs of a host find OVN's databases, and with which certificate.

A master whose databases are clustered has /etc/ovn-kubernetes/central.json, which names all members: an OVSDB lock is
known to one server only, and so all programs have to meet at the leader. A master without that file has the databases
alone, at its unix sockets.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, NamedTuple

from .._common import names
from .._common.errors import DatabaseError
from .tls import FILES, TlsFiles

if TYPE_CHECKING:
    from typing import Any

    from .tls import MaybeTls

CENTRAL_TLS = TlsFiles(private_key=names.CENTRAL_PEM, certificate=names.CENTRAL_PEM, ca_cert=names.CENTRAL_CA)
CHASSIS_TLS = TlsFiles(private_key=names.CHASSIS_PEM, certificate=names.CHASSIS_PEM, ca_cert=names.CENTRAL_CA)
SOCKETS = {"northbound": names.NORTHBOUND_SOCKET, "southbound": names.SOUTHBOUND_SOCKET}
PROTOCOLS = ("unix:", "tcp:", "ssl:")


class Access(NamedTuple):
    """A database as a client reaches it.

    :ivar remote: as :class:`.connection.Connection` takes it.
    :ivar tls: the files for ``ssl``; they are read at each connection.
    """

    remote: str
    tls: MaybeTls


def northbound(remote: str | None = None, tls: MaybeTls = None, file: str = names.CENTRAL_ACCESS) -> Access:
    """Return how a master's module or program reaches the Northbound database.

    :param remote: where it is; None: as the file says, or this host's socket.
    :param tls: the files for ``ssl``; None: as the file says, or those that the site play makes.
    :param file: the path of central.json.
    :raises DatabaseError: the file is there, and can't be read.
    """
    return _central("northbound", remote, tls, file)


def southbound(remote: str | None = None, tls: MaybeTls = None, file: str = names.CENTRAL_ACCESS) -> Access:
    """Return how a master's module or program reaches the Southbound database; as :func:`northbound`."""
    return _central("southbound", remote, tls, file)


def chassis(remote: str) -> Access:
    """Return how a host's programs reach the Southbound database at the remote of its ovn-controller."""
    return Access(remote, CHASSIS_TLS if uses_tls(remote) else None)


def uses_tls(remote: str) -> bool:
    """Return whether one of the remotes of a list is ``ssl``."""
    return any(part.strip().startswith("ssl:") for part in remote.split(","))


def _central(database: str, remote: str | None, tls: MaybeTls, file: str) -> Access:
    said = _read(file) if remote is None or (tls is None and uses_tls(remote)) else {}
    found = remote if remote is not None else said.get(database, SOCKETS[database])
    if tls is None and uses_tls(found):
        tls = {**CENTRAL_TLS, **{key: said[key] for key in FILES if key in said}}
    return Access(found, tls)


def _read(file: str) -> dict[str, Any]:
    """Return what the file says; nothing where there is none."""
    try:
        with open(file, encoding="utf-8") as stream:
            said = json.load(stream)
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as exc:
        reason = getattr(exc, "strerror", None) or str(exc)
        raise DatabaseError(
            f"{file} can't be read ({reason}): run as root, and let the site play write it again"
        ) from None
    known = {*SOCKETS, *FILES}
    if not isinstance(said, dict) or any(not isinstance(said.get(key, ""), str) for key in known):
        raise DatabaseError(f"{file} is no object of texts: let the site play write it again")
    wrong = [key for key in SOCKETS if key in said and not said[key].startswith(PROTOCOLS)]
    if wrong:
        raise DatabaseError(f"{file} says no remote for {wrong[0]}: let the site play write it again")
    return said
