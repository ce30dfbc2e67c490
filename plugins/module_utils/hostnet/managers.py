# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Who configures a NIC of this host."""

from __future__ import annotations

from .facts import link_mac
from .managed import Managed


def find(nic):
    """Who configures the NIC, and how.

    :returns: a :class:`.managed.Managed`.
    :raises HostError: in one sentence, when several do at once, or somebody whom we don't know.
    """
    return Managed(nic, link_mac(nic) or "")
