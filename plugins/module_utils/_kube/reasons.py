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
POLICY_PART_REFUSED = "NetworkPolicyPartRefused"
CLUSTER_POLICY_NOT_ENFORCED = "ClusterNetworkPolicyNotEnforced"
CLUSTER_POLICY_PART_REFUSED = "ClusterNetworkPolicyPartRefused"
# About namespaces.
ACL_LOGGING_REFUSED = "ACLLoggingRefused"
# About egress firewalls.
FIREWALL_NOT_ENFORCED = "EgressFirewallNotEnforced"
FIREWALL_PART_REFUSED = "EgressFirewallPartRefused"
# About EgressQoS.
QOS_NOT_SERVED = "EgressQoSNotServed"
QOS_PART_REFUSED = "EgressQoSPartRefused"
# About ways outside.
EXTERNAL_ROUTE_NOT_SERVED = "ExternalRouteNotServed"
# About EgressIP objects.
EGRESS_IP_PART_REFUSED = "EgressIPPartRefused"
EGRESS_IP_NOT_HELD = "EgressIPNotHeld"
