# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Tell a network manager that its files have changed."""

from __future__ import annotations


def hand_over(step):
    """Tell the manager, and wait until it has done it.

    :param step: a :class:`.steps.HandoverStep`.
    :raises HostError: when it can't be told, or says that it failed.
    """
