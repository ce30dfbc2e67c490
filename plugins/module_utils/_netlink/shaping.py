# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The rate at which a link sends, held by the kernel's token bucket, tc-tbf(8)."""

from __future__ import annotations

import struct

from .libraries import netlink
from .rtnetlink import CREATE, REPLACE, Rtnl, attribute, index_of
from .socket import ACK

NEWQDISC = 36
ROOT = 0xFFFFFFFF  # TC_H_ROOT
TCA_KIND, TCA_OPTIONS = 1, 2
TBF_PARMS, TBF_RATE64, TBF_BURST = 1, 4, 6  # linux/pkt_sched.h
SMALLEST, WAIT = (
    16 * 1024,
    0.05,
)  # bytes of a burst, so that whole packets pass at low rates; seconds that a packet may wait
LARGEST = 0xFFFFFFFF


def limit_rate(link, bits):
    """Let the link send no more than ``bits`` a second on average, bursts of a tenth of a second apart. :raises OSError: from the kernel."""
    rate = bits // 8
    burst = min(max(rate // 10, SMALLEST), LARGEST)
    queue = min(burst + int(rate * WAIT) + SMALLEST, LARGEST)
    spec = struct.pack("BBHhHI", 0, 1, 0, 0, 0, min(rate, LARGEST))  # struct tc_ratespec; 1: TC_LINKLAYER_ETHERNET
    options = (
        attribute(TBF_PARMS, spec + bytes(len(spec)) + struct.pack("III", queue, 0, 0))
        + attribute(TBF_RATE64, struct.pack("Q", rate))
        + attribute(TBF_BURST, struct.pack("I", burst))
    )
    with _Shaper() as rtnl:
        rtnl.replace(link, b"tbf\0", options)


class _Shaper(Rtnl):
    """Sets what a link's queue does."""

    def replace(self, link, kind, options):
        """The queue of that kind takes the place of the one that the link has."""
        attributes = tuple((number, str(number), "cdata") for number in (TCA_KIND, TCA_OPTIONS))
        message = type(
            "QueueMessage",
            (netlink().nlmsg,),
            {
                "nla_map": attributes,
                "fields": (
                    ("family", "B"),
                    ("pad", "3x"),
                    ("index", "i"),
                    ("handle", "I"),
                    ("parent", "I"),
                    ("info", "I"),
                ),
            },
        )()
        message["index"], message["parent"] = index_of(link), ROOT
        message["attrs"] = [[str(TCA_KIND), kind], [str(TCA_OPTIONS), options]]
        self.ask(message, NEWQDISC, ACK | CREATE | REPLACE)
