# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The kernel's connection tracking (conntrack(8)).

Packets of a UDP client go where its first packet went, until the kernel deletes the entry of the connection.
"""

from __future__ import annotations

import errno
import importlib
import socket
from typing import TYPE_CHECKING, Any

from .._common.errors import HostError
from .libraries import NO_PYROUTE2

if TYPE_CHECKING:
    from collections.abc import Iterable

FAMILIES = (socket.AF_INET, socket.AF_INET6)


def forget_udp(ports: Iterable[int]) -> None:
    """Delete the connections of UDP clients to these ports of this host.

    Call it in a thread of its own: some versions of the library run an event loop.

    :raises HostError: the kernel refused, or the library is missing.
    """
    try:
        library = importlib.import_module("pyroute2.netlink.nfnetlink.nfctsocket")
        netlink_error = importlib.import_module("pyroute2.netlink.exceptions").NetlinkError
    except ImportError:
        raise HostError(NO_PYROUTE2) from None
    ports = list(ports)
    for family in FAMILIES:
        try:
            with library.NFCTSocket(nfgen_family=family) as conntrack:
                for port in ports:
                    _forget_port(library, conntrack, netlink_error, family, port)
        except (OSError, netlink_error) as exc:
            numbers = ", ".join(map(str, ports))
            raise HostError(f"the kernel does not forget connections to UDP ports {numbers}: {exc}") from None


def _forget_port(library: Any, conntrack: Any, netlink_error: type[Exception], family: int, port: int) -> None:
    selector = library.NFCTAttrTuple(family=family, proto=socket.IPPROTO_UDP, dport=port)
    for entry in list(conntrack.dump(tuple_orig=selector)):
        original = entry.get_attr("CTA_TUPLE_ORIG")
        if selector.nla_eq(family, original):  # kernels before 5.8 return the entries of all ports
            _delete(conntrack, netlink_error, library.NFCTAttrTuple.from_netlink(family, original))


def _delete(conntrack: Any, netlink_error: type[Exception], original: Any) -> None:
    try:
        list(conntrack.entry("del", tuple_orig=original) or ())
    except netlink_error as exc:
        if getattr(exc, "code", None) != errno.ENOENT:  # ENOENT: the connection has ended meanwhile
            raise
