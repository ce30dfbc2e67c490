# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Queueing disciplines of a link, read (tc(8), RTM_GETQDISC)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .constants import NlFlag, Rtm, Tca
from .links import link_index
from .messages import attributes_of, messages, unpack_name

if TYPE_CHECKING:
    from .socket import RouteSocket


def read_configured_qdiscs(kernel: RouteSocket, link: str) -> list[str]:
    """Return the kinds of those that somebody configured, such as ``tbf``. The kernel's own have no handle."""
    index = link_index(link)
    message = messages().qdisc()
    message["index"] = index
    return [
        unpack_name(attributes_of(reply)[Tca.KIND])
        for reply in kernel.request(message, Rtm.GETQDISC, NlFlag.DUMP)
        if reply["index"] == index and reply["handle"]
    ]
