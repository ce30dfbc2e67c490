# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Calls to systemd, systemd-networkd, systemd-resolved and NetworkManager over the system's D-Bus."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from .errors import HostError

if TYPE_CHECKING:
    from collections.abc import Iterable

NO_JEEPNEY = "python3-jeepney is missing on this host: install it (Debian, Ubuntu, EL9: python3-jeepney)"
TIMEOUT = 10  # seconds for a reply
SYSTEMD, SYSTEMD_SOCKET = "org.freedesktop.systemd1", "/run/systemd/private"  # as systemctl(1) uses it
RECEIVE_BYTES = 1 << 16
PROPERTIES = "org.freedesktop.DBus.Properties"


def call(
    service: str, path: str, interface: str, method: str, signature: str = "", arguments: Iterable[Any] = ()
) -> tuple[Any, ...]:
    """Call a method, and return the values of its reply.

    :param signature: types of the arguments, D-Bus specification, "Type System".
    :raises HostError: no connection, no reply, or an error of the service in its own words.
    """
    try:
        from jeepney import DBusAddress, new_method_call
    except ImportError:
        raise HostError(NO_JEEPNEY) from None
    address = DBusAddress(path, bus_name=service, interface=interface)
    message = new_method_call(address, method, signature or None, tuple(arguments))
    try:
        reply = _reply(service, message)
    except (OSError, TimeoutError) as error:
        raise HostError(
            f"{service} can't be reached over D-Bus ({error or 'no reply'}): "
            "check that it and dbus run (systemctl status dbus)"
        ) from error
    body: tuple[Any, ...] = reply.body or ()
    if reply.header.message_type.name == "error":
        raise HostError(f"{service} refuses {method}: {' '.join(map(str, body)) or 'without a reason'}")
    return body


def _reply(service: str, message: Any) -> Any:
    """Return the reply to a message; systemd is asked at its own socket where there is no bus.

    :raises OSError, TimeoutError: there is no connection, or no reply.
    """
    from jeepney.io.blocking import open_dbus_connection

    try:
        connection = open_dbus_connection(bus="SYSTEM")
    except (OSError, TimeoutError):
        if service != SYSTEMD or not os.path.exists(SYSTEMD_SOCKET):
            raise
        return _reply_of_peer(SYSTEMD_SOCKET, message)
    with connection as bus:
        return bus.send_and_get_reply(message, timeout=TIMEOUT)


def _reply_of_peer(path: str, message: Any) -> Any:
    """Return the reply of a program that is no bus, so that nobody says Hello to it (D-Bus specification)."""
    from jeepney.io.blocking import prep_socket
    from jeepney.low_level import HeaderFields, Parser

    parser, serial = Parser(), 1
    with prep_socket(path) as peer:
        peer.settimeout(TIMEOUT)
        peer.sendall(message.serialise(serial=serial))
        while True:
            data = peer.recv(RECEIVE_BYTES)
            if not data:
                raise ConnectionError("the connection ended")
            for reply in parser.feed(data):
                if reply.header.fields.get(HeaderFields.reply_serial) == serial:
                    return reply


def read_property(service: str, path: str, interface: str, name: str) -> Any:
    """Return the value of a property.

    :raises HostError: as :func:`call`.
    """
    return call(service, path, PROPERTIES, "Get", "ss", (interface, name))[0][1]


def write_property(service: str, path: str, interface: str, name: str, signature: str, value: Any) -> None:
    """Set a property.

    :raises HostError: as :func:`call`.
    """
    call(service, path, PROPERTIES, "Set", "ssv", (interface, name, (signature, value)))
