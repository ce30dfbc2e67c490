# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The proof of a change of NICs where nobody looks from outside: whoever has answered this host before answers it again."""

from __future__ import annotations

from .._host import facts
from .._netlink.neighbours import neighbour_answers

PATIENCE = 2.0  # seconds for one answer; a moved NIC's first ones take longer than others


class WayOut:
    """Those who answer now, and whether they still do.

    The routers of the default routes are asked, and whoever else is given.

    :param others: name -> question, which tells whether that one answers over a new connection.
    """

    def __init__(self, others):
        questions = {
            **{
                "the router %s of the default route" % hop: lambda version=version, hop=hop: _router_answers(
                    version, hop
                )
                for version, hop in ((version, default_router(version)) for version in (4, 6))
                if hop
            },
            **others,
        }
        self._asked = {name: question for name, question in questions.items() if question()}
        self.silent = None

    def __bool__(self):
        """Whether there is anybody who could be asked."""
        return bool(self._asked)

    def works(self):
        """Whether all of them answer now; if not, ``silent`` names the first that does not."""
        self.silent = next((name for name, question in self._asked.items() if not question()), None)
        return self.silent is None


def default_router(version):
    """The address of the router that is used, None where there is none."""
    link = facts.default_route_link(version)
    return facts.next_hop(link, version) if link else None


def _router_answers(version, hop):
    """Asked on the link that leads to it now."""
    link = facts.default_route_link(version)
    return bool(link) and neighbour_answers(link, hop, PATIENCE)
