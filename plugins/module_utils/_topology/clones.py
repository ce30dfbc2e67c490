# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Hosts that were cloned from one machine, and so have one system-id: OVN takes them for one chassis.

A host under another name is a renamed one or a clone. They are told apart by what else they have: a renamed host has
the tunnel address and the pods' subnet that it had, a clone has others.
"""

from __future__ import annotations

ADVICE = (
    "give the clone its own (remove /etc/openvswitch/system-id.conf there, and restart Open vSwitch and ovn-controller)"
)
