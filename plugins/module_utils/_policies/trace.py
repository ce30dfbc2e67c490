# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Ask ovn-trace(8) what becomes of a packet: the flows that northd has made say it, not the rows that we understand."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from .._common.names import router_to_switch
from .explain import Way
from .verdict import ALLOWED, DENIED, EGRESS, INGRESS, UNCERTAIN

SOURCE_PORT = 40000
CONNECTION_STATES = 16  # ct_next's of a way, each of which is that of a new connection
# The ACLs of what is sent, before load balancing (ovn-northd(8)); OVN 23.06 and later have two tables for it.
BEFORE_BALANCING = re.compile(r"ls_in_acl(_eval|_action|_sample)?")
STAGE = re.compile(r"^ *\d+\. (?P<stage>l[sr]_(?:in|out)_\w+)", re.MULTILINE)


class Traced(NamedTuple):
    """What ovn-trace says.

    :ivar verdict: ALLOWED, DENIED; UNCERTAIN: it got to no end, and no ACL is the reason.
    :ivar end: the end whose ACLs drop it; empty: none.
    :ivar stage: where it ended (ovn-northd(8)).
    """

    verdict: str
    end: str
    stage: str


def router_port(way: Way) -> str:
    """Return the router's port whose MAC the client needs."""
    return router_to_switch(way.client.switch)


def calls(way: Way, router_mac: str) -> list[list[str]]:
    """Return the arguments of ovn-trace, for one call or several: switch and packet, all of them parsed or the
    database's own.

    A service takes two. With the option for an endpoint ovn-trace balances before the first ACLs already, where OVN
    only looks the connection up. So one call without it asks for those ACLs, and another one for all that comes later.
    """
    is_near = way.server is not None and not way.service and way.server.switch == way.client.switch
    mac = way.server.mac if is_near and way.server is not None else router_mac
    address, port = way.sent_to
    packet = (
        f'inport == "{way.client.port}" && eth.src == {way.client.mac} && eth.dst == {mac} && ip.ttl == 64 && '
        f"ip{way.version}.src == {way.source} && ip{way.version}.dst == {address} && "
        f"{way.protocol}.src == {SOURCE_PORT} && {way.protocol}.dst == {port}"
    )
    host = f"[{way.destination}]" if way.version == 6 else way.destination
    chosen = [[], [f"--lb-dst={host}:{way.port}"]] if way.service else [[]]
    return [[*["--ct=new"] * CONNECTION_STATES, *one, way.client.switch, packet] for one in chosen]


def read(texts: Sequence[str], way: Way) -> Traced:
    """Return what the outputs of the calls say."""
    for text in texts[:-1]:
        stages = [one["stage"] for one in STAGE.finditer(text)]
        if stages and BEFORE_BALANCING.fullmatch(stages[-1]):
            return Traced(DENIED, EGRESS, stages[-1])
    text = texts[-1]
    stages = [one["stage"] for one in STAGE.finditer(text)]
    last = stages[-1] if stages else ""
    if "_acl" in last:
        return Traced(DENIED, EGRESS if last.startswith("ls_in") else INGRESS, last)
    if way.server is None:  # what becomes of it outside is not for policies to say
        return Traced(ALLOWED, "", last)
    is_there = f'output to "{way.server.port}"' in text
    return Traced(ALLOWED if is_there else UNCERTAIN, "", last)


def differs(traced: Traced, way: Way) -> str:
    """Return how it differs from what the rows say; empty: it does not."""
    if traced.verdict == UNCERTAIN:
        return f"ovn-trace brings it to no pod, and no ACL is the reason: it ends in {traced.stage or 'nothing'}"
    if way.verdict == UNCERTAIN:
        return ""
    ends = [one.direction for one in way.verdicts if one.verdict == DENIED]
    if traced.verdict == ALLOWED and ends:
        return f"the rows deny it at {ends[0]}, ovn-trace lets it through"
    if traced.verdict == DENIED and traced.end not in ends[:1]:
        return f"the rows {'deny it at ' + ends[0] if ends else 'allow it'}, ovn-trace drops it at {traced.end}"
    return ""
