# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Calls over the system's D-Bus: systemd, systemd-networkd and NetworkManager are asked there."""

from __future__ import annotations

from .errors import HostError

NO_JEEPNEY = "python3-jeepney is missing on this host: install it (Debian, Ubuntu, EL9: python3-jeepney)"
PATIENCE = 10  # seconds for one answer


def call(service, path, interface, method, signature="", arguments=()):
    """The answer's values. :raises HostError: in one sentence, with the service's own words."""
    try:
        from jeepney import DBusAddress, new_method_call
        from jeepney.io.blocking import open_dbus_connection
    except ImportError:
        raise HostError(NO_JEEPNEY) from None
    message = new_method_call(
        DBusAddress(path, bus_name=service, interface=interface), method, signature or None, tuple(arguments)
    )
    try:
        with open_dbus_connection(bus="SYSTEM") as bus:
            answer = bus.send_and_get_reply(message, timeout=PATIENCE)
    except (OSError, TimeoutError) as error:
        raise HostError(
            "%s can't be asked over D-Bus (%s): see that it and dbus run (systemctl status dbus)"
            % (service, error or "no answer")
        ) from error
    if answer.header.message_type.name == "error":
        raise HostError(
            "%s refuses %s: %s" % (service, method, " ".join(map(str, answer.body or ())) or "without a reason")
        )
    return answer.body


def read_property(service, path, interface, name):
    """The value of a property."""
    return call(service, path, "org.freedesktop.DBus.Properties", "Get", "ss", (interface, name))[0][1]


def write_property(service, path, interface, name, signature, value):
    """Set a property."""
    call(service, path, "org.freedesktop.DBus.Properties", "Set", "ssv", (interface, name, (signature, value)))
