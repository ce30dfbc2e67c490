# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Labels of IPv6 prefixes that are for one link, by which the kernel chooses source addresses (ip-addrlabel(8), RFC
6724), read.
"""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

from .constants import Ifal, NlFlag, Rtm
from .links import link_index
from .messages import attributes_of, messages, unpack_ip

if TYPE_CHECKING:
    from .socket import RouteSocket


def read_labelled_prefixes(kernel: RouteSocket, link: str) -> list[str]:
    """Return the prefixes that have a label on this link alone; none where the kernel has no IPv6."""
    index = link_index(link)
    message = messages().address_label()
    message["family"] = socket.AF_INET6
    try:
        replies = kernel.request(message, Rtm.GETADDRLABEL, NlFlag.DUMP)
    except OSError:  # no IPv6
        return []
    own = [reply for reply in replies if reply["index"] == index]
    return [f"{unpack_ip(attributes_of(reply)[Ifal.ADDRESS])}/{reply['prefixlen']}" for reply in own]
