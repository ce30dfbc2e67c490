# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Learn when Open vSwitch has applied a transaction (ovs-vswitchd.conf.db(5): next_cfg and cur_cfg)."""

from __future__ import annotations

from typing import Any

INCREMENT_NEXT_CFG: list[dict[str, Any]] = [
    {"op": "mutate", "table": "Open_vSwitch", "where": [], "mutations": [["next_cfg", "+=", 1]]},
    {"op": "select", "table": "Open_vSwitch", "where": [], "columns": ["next_cfg"]},
]
# Of the time that the connection allows for a reply: the wait must end before the connection gives up.
SHARE = 0.9


def wait_for_cur_cfg(next_cfg: int, seconds: float) -> dict[str, Any]:
    """Return the operation that waits until ovs-vswitchd has applied the configuration of this number.

    :param next_cfg: the number, from the result of :data:`INCREMENT_NEXT_CFG`.
    :param seconds: the connection's time limit for a reply.
    """
    return {
        "op": "wait",
        "table": "Open_vSwitch",
        "where": [["cur_cfg", "<", next_cfg]],
        "columns": ["cur_cfg"],
        "until": "==",
        "rows": [],
        "timeout": int(seconds * 1000 * SHARE),
    }
