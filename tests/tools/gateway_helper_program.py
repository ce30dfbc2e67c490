# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""ovn-k8s-gateway-helper, as tests start it."""

from __future__ import annotations

from ansible_collections.ovn.kubernetes.plugins.module_utils._programs import flow_keeper, gateway_helper


def main(arguments):
    """Run it so that news alone wake it; the first argument says how many seconds it waits for Open vSwitch."""
    flow_keeper.CHECK_INTERVAL = 600.0
    flow_keeper.OPEN_VSWITCH_TIMEOUT = float(arguments[0])
    return gateway_helper.main(arguments[1:])
