# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The reasons of the events that our programs write. docs/kubernetes.md says of each what it means and what to do."""

from __future__ import annotations

# About pods.
NETWORK_NOT_READY = "NetworkNotReady"
NETWORK_OUTDATED = "NetworkOutdated"
NETWORK_REPAIRED = "NetworkRepaired"
NETWORK_BROKEN = "NetworkBroken"
HOST_PORT_NOT_SERVED = "HostPortNotServed"
# About pods, their nodes and services.
ADDRESS_CONFLICT = "AddressConflict"
ADDRESS_REFUSED = "AddressRefused"
# About services.
SERVICE_NOT_SERVED = "ServicePartNotServed"
# About nodes.
NODE_SUBNET_CHANGED = "NodeSubnetChanged"
# About networks of services.
SERVICE_CIDR_REFUSED = "ServiceCIDRRefused"
# About policies.
POLICY_NOT_ENFORCED = "NetworkPolicyNotEnforced"
