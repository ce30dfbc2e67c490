# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""``ovn-k8s-host``: converges this host from its kept settings, at each boot and whenever Open vSwitch starts."""

from __future__ import annotations

import json
import logging
import os

from ..addressing import AddressError
from ..host import GATEWAY_FILE, NODE_FILE, Host
from ..hostnet.errors import HostError
from ..ovsdb.errors import DatabaseError

LOG = logging.getLogger("ovn-k8s-host")


def main(_arguments=None):
    """The program: a line for each thing that it did; exits with 1 and a sentence when something is wrong."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    host = Host()
    try:
        for path, part in ((NODE_FILE, host.node), (GATEWAY_FILE, host.gateway)):
            if os.path.exists(path):
                with open(path, encoding="utf-8") as kept:
                    for item in part(json.load(kept)).plan:
                        LOG.info("%s", item.describe())
    except (AddressError, DatabaseError, HostError, KeyError, OSError, ValueError) as exc:
        LOG.error("%s", exc)
        return 1
    return 0
