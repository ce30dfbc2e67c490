# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""``ovn-k8s-host``: converges this host from its kept settings, at each boot and whenever Open vSwitch starts."""

from __future__ import annotations

import json
import logging
import os
from functools import partial

from .._common.errors import DatabaseError, HostError, SettingsError
from .._common.result import Result
from .._nic.moved import moved_nics
from .._topology.host import GATEWAY_FILE, NODE_FILE, Host

LOG = logging.getLogger("ovn-k8s-host")


def main(_arguments=None):
    """The program: a line for each thing that it did; exits with 1 and a sentence for each thing that is wrong."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    host = Host()
    bad = _part(host.finish_uplinks)
    # NICs that are in bridges are kept each for itself; nobody is there who could confirm another move.
    parts = [partial(host.restore_uplink, nic) for nic in moved_nics()]
    parts += [
        lambda: _kept(NODE_FILE, partial(host.node, move_underlay=False)),
        lambda: _kept(GATEWAY_FILE, host.gateway),
    ]
    return max([bad, *map(_part, parts)])


def _part(part):
    """One part; the others have their turn even when it fails. :returns: 0, or 1 when something is wrong."""
    try:
        for item in part().plan:
            LOG.info("%s", item.describe())
    except (SettingsError, DatabaseError, HostError, KeyError, OSError, ValueError) as exc:
        LOG.error("%s", exc)
        return 1
    return 0


def _kept(path, converge):
    """Converge from the settings in a file."""
    if not os.path.exists(path):
        return Result()
    with open(path, encoding="utf-8") as kept:
        return converge(json.load(kept))
