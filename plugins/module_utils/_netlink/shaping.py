# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The rate at which a link sends, limited by the kernel's token bucket filter (tc-tbf(8), linux/pkt_sched.h)."""

from __future__ import annotations

import struct

from .constants import TC_H_ROOT, NlFlag, Rtm, Tca, TcaTbf, TcLinkLayer
from .links import link_index
from .messages import chain, messages, pack_name, set_attributes
from .socket import RouteSocket

MINIMUM_BURST = 16 * 1024  # bytes: also at low rates a burst holds whole packets
BURSTS_PER_SECOND = 10
LATENCY_SECONDS = 0.05  # how long a packet may wait in the queue
MAXIMUM = 0xFFFFFFFF  # of the numbers of 32 bits
TC_RATESPEC = struct.Struct("BBHhHI")  # struct tc_ratespec: cell_log, linklayer, overhead, cell_align, mpu, rate
TC_TBF_QOPT_END = struct.Struct("III")  # limit, buffer, mtu: after the two rates of struct tc_tbf_qopt


def limit_rate(link: str, bits_per_second: int) -> None:
    """Limit the average rate at which a link sends. A burst is as long as a tenth of a second of that rate.

    :raises OSError: the kernel refused.
    """
    rate = bits_per_second // 8
    burst = min(max(rate // BURSTS_PER_SECOND, MINIMUM_BURST), MAXIMUM)
    limit = min(burst + int(rate * LATENCY_SECONDS) + MINIMUM_BURST, MAXIMUM)
    # TCA_TBF_RATE64 has the rate that does not fit into 32 bits.
    spec = TC_RATESPEC.pack(0, TcLinkLayer.ETHERNET, 0, 0, 0, min(rate, MAXIMUM))
    no_peak_rate = bytes(TC_RATESPEC.size)
    options = chain(
        {
            TcaTbf.PARMS: spec + no_peak_rate + TC_TBF_QOPT_END.pack(limit, 0, 0),
            TcaTbf.RATE64: struct.pack("Q", rate),
            TcaTbf.BURST: struct.pack("I", burst),
        }
    )
    with RouteSocket() as kernel:
        message = messages().qdisc()
        message["index"], message["parent"] = link_index(link), TC_H_ROOT
        set_attributes(message, {Tca.KIND: pack_name("tbf"), Tca.OPTIONS: options})
        kernel.request(message, Rtm.NEWQDISC, NlFlag.ACK | NlFlag.CREATE | NlFlag.REPLACE)
