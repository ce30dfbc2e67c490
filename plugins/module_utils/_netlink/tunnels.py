# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The other ends of the kernel's tunnels, read (ip-link(8), RTM_GETLINK)."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING

from .constants import Ifla, IflaInfo, NlFlag, Rtm
from .messages import attributes_of, messages, nested, unpack_ip, unpack_name

if TYPE_CHECKING:
    from .socket import RouteSocket

# Kind of a link -> its attributes with the address of the other end, inside IFLA_INFO_DATA (linux/if_link.h and
# linux/if_tunnel.h: IFLA_VXLAN_GROUP and GROUP6, IFLA_GENEVE_REMOTE and REMOTE6, IFLA_GRE_REMOTE, IFLA_IPTUN_REMOTE,
# IFLA_VTI_REMOTE).
REMOTES = {
    "vxlan": (2, 16),
    "geneve": (2, 7),
    **dict.fromkeys(("gre", "gretap", "erspan", "ip6gre", "ip6gretap", "ip6erspan"), (7,)),
    **dict.fromkeys(("ipip", "sit", "ip6tnl"), (3,)),
    **dict.fromkeys(("vti", "vti6"), (5,)),
}


def read_tunnel_remotes(kernel: RouteSocket) -> dict[str, str]:
    """Return the addresses of tunnels' other ends, with the names of the links. Groups and any address are left out."""
    found: dict[str, str] = {}
    for reply in kernel.request(messages().link(), Rtm.GETLINK, NlFlag.DUMP):
        attributes = attributes_of(reply)
        info = dict(nested(attributes.get(Ifla.LINKINFO, b"")))
        remotes = REMOTES.get(info.get(IflaInfo.KIND, b"").rstrip(b"\0").decode("ascii", "replace"), ())
        for number, value in nested(info.get(IflaInfo.DATA, b"")) if remotes else ():
            if number in remotes and len(value) in (4, 16):
                address = ipaddress.ip_address(unpack_ip(value))
                if not address.is_unspecified and not address.is_multicast:
                    found[str(address)] = unpack_name(attributes[Ifla.IFNAME])
    return found
