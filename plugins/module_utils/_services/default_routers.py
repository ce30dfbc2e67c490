# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The routers of hosts' default routes, which no service may have.

A host tells them by an annotation of its Node, and the API server lets a kubelet write its own Node only
(NodeRestriction).
"""

from __future__ import annotations

from collections.abc import Iterable

from .._common import addressing

MOST = 8  # of one host


def usable(texts: Iterable[object]) -> tuple[str, ...]:
    """Return those that services could name, :data:`MOST` at most, in their usual spelling and order.

    None may name a link-local one.
    """
    found = set(filter(None, map(addressing.unicast, texts)))
    return tuple(sorted(ip for ip in found if not addressing.address(ip).is_link_local)[:MOST])


def parse(annotation: str | None) -> tuple[str, ...]:
    """Return those that an annotation tells."""
    return usable((annotation or "")[: MOST * addressing.LONGEST].split(","))
