# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Generic netlink (linux/genetlink.h): whether the kernel has a family."""

from __future__ import annotations

import errno
import socket

from .constants import Genl, GenlCtrlAttr, NlFlag
from .libraries import pyroute2_core
from .messages import pack_name

NETLINK_GENERIC = getattr(socket, "NETLINK_GENERIC", 16)  # linux/netlink.h
CTRL_VERSION = 1


def has_generic_family(name: str) -> bool:
    """Return whether the kernel has a family of generic netlink. The kernel loads the family's module when it is asked.

    :raises HostError: the library is missing.
    :raises OSError: the kernel can't be asked.
    """
    library = pyroute2_core()
    attribute_type = (int(GenlCtrlAttr.FAMILY_NAME), "CTRL_ATTR_FAMILY_NAME", "cdata")
    members = {
        "fields": (("cmd", "B"), ("version", "B"), ("reserved", "H")),  # struct genlmsghdr
        "nla_map": (attribute_type,),
    }
    message_class = type("genlmsghdr", (library.nlmsg,), members)
    message = message_class()
    message["cmd"], message["version"] = int(Genl.CTRL_CMD_GETFAMILY), CTRL_VERSION
    message["attrs"] = [["CTRL_ATTR_FAMILY_NAME", pack_name(name)]]
    kernel = library.NetlinkSocket(NETLINK_GENERIC)
    try:
        kernel.register_policy({int(Genl.ID_CTRL): message_class})
        kernel.bind()
        return bool(tuple(kernel.nlm_request(message, int(Genl.ID_CTRL), int(NlFlag.REQUEST))))
    except library.NetlinkError as error:
        code = int(getattr(error, "code", 0))
        if code == errno.ENOENT:
            return False
        raise OSError(code, str(error)) from error
    finally:
        kernel.close()
