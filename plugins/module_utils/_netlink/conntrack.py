# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The kernel's memory of connections: a client of UDP goes on to where its first packet went, until that is forgotten."""

from __future__ import annotations

import importlib
import socket

from .._common.errors import HostError
from .libraries import NO_PYROUTE2

FAMILIES = (socket.AF_INET, socket.AF_INET6)


def forget_udp(ports):
    """Forget what clients have sent to these ports. Call it in a thread: the library may have an event loop of its own.

    :raises HostError: when the kernel refuses.
    """
    try:
        library = importlib.import_module("pyroute2.netlink.nfnetlink.nfctsocket")
        errors = importlib.import_module("pyroute2.netlink.exceptions")
    except ImportError:
        raise HostError(NO_PYROUTE2) from None
    for family in FAMILIES:
        try:
            with library.NFCTSocket(nfgen_family=family) as conntrack:
                for port in ports:
                    asked = library.NFCTAttrTuple(family=family, proto=socket.IPPROTO_UDP, dport=port)
                    for entry in list(conntrack.dump(tuple_orig=asked)):
                        # Kernels before 5.8 do not filter.
                        if asked.nla_eq(family, entry.get_attr("CTA_TUPLE_ORIG")):
                            _delete(
                                conntrack,
                                errors,
                                library.NFCTAttrTuple.from_netlink(family, entry.get_attr("CTA_TUPLE_ORIG")),
                            )
        except (OSError, errors.NetlinkError) as exc:
            raise HostError(
                "the kernel does not forget connections to UDP ports %s: %s" % (", ".join(map(str, ports)), exc)
            ) from None


def _delete(conntrack, errors, one):
    try:
        list(conntrack.entry("del", tuple_orig=one) or ())
    except errors.NetlinkError as exc:
        if exc.code != 2:  # ENOENT: it has ended by itself
            raise
