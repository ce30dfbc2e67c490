# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""ovn-k8s-egress, as tests start it."""

from __future__ import annotations

from ansible_collections.ovn.kubernetes.plugins.module_utils._programs import egress, stale_chassis


def main(arguments):
    """Run it with short intervals between what it does again and again."""
    stale_chassis.LOOK, stale_chassis.GRACE = 0.2, 0.5
    return egress.main(arguments)
