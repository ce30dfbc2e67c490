# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Every OVN, OVS and host name that this collection gives, and the keys that mark what is ours.

The names are those of the original overlay tool and of today's ovn-kubernetes, so that operators and
tools find what they know. Nothing else in the collection spells one of these names.
"""

from __future__ import annotations

import hashlib

# Databases (ovsdb-server(7), ovn-nb(5), ovn-sb(5), ovs-vswitchd.conf.db(5)).
NORTHBOUND = "OVN_Northbound"
SOUTHBOUND = "OVN_Southbound"
LOCAL = "Open_vSwitch"
NORTHBOUND_SOCKET = "unix:/var/run/ovn/ovnnb_db.sock"
SOUTHBOUND_SOCKET = "unix:/var/run/ovn/ovnsb_db.sock"
LOCAL_SOCKET = "unix:/var/run/openvswitch/db.sock"
SOUTHBOUND_PORT = 6642

# The cluster.
CLUSTER_ROUTER = "ovn_cluster_router"
JOIN_SWITCH = "join"
LB_GROUP_ALL = "clusterLBGroup"
LB_GROUP_SWITCHES = "clusterSwitchLBGroup"
LB_GROUP_ROUTERS = "clusterRouterLBGroup"
CLUSTER_ROUTER_MARK = "k8s-cluster-router"
JOIN_MARK = "connect_to_join"

# A host.
INTEGRATION_BRIDGE = "br-int"
PHYSICAL_NETWORK = "physnet"
SETTINGS_DIRECTORY = "/etc/ovn-kubernetes"
# How the watcher and a node's server reach the API server (kube/settings.py): a master that is a node too has both.
WATCHER_ACCESS = SETTINGS_DIRECTORY + "/kubernetes-watcher.json"
NODE_ACCESS = SETTINGS_DIRECTORY + "/kubernetes-node.json"
WATCHER_TOKEN = SETTINGS_DIRECTORY + "/kubernetes-watcher.token"
NODE_TOKEN = SETTINGS_DIRECTORY + "/kubernetes-node.token"
KUBERNETES_CA = SETTINGS_DIRECTORY + "/kubernetes-ca.crt"
# Flows that part pods' from the host's traffic on a NIC of both carry it: what carries it is ours.
FLOW_COOKIE = 0x6F766E6B
# The pods' source ports outside, where the host has the same address: below those that the kernel takes by itself
# (net.ipv4.ip_local_port_range begins at 32768), and below Kubernetes' node ports (30000 to 32767).
SHARED_PORTS = "1024-29999"
UPLINKS_DIRECTORY = SETTINGS_DIRECTORY + "/uplinks"
JOURNAL_DIRECTORY = "/var/lib/ovn-kubernetes/uplinks"
UPLINKS_UNIT = "ovn-k8s-uplinks.service"
CNI_CONFIGURATION = "/etc/cni/net.d/10-ovn-kubernetes.conflist"
CNI_PLUGIN = "ovn-k8s-cni-overlay"
ARCHIVE = "/usr/local/lib/ovn_kubernetes.pyz"
COMMANDS_DIRECTORY = "/usr/local/bin"
COMMANDS = {  # command -> the program of the archive that it runs
    "ovn-k8s-gateway-helper": "gateway_helper",
    "ovn-k8s-overlay": "overlay",
    "ovn-k8s-util": "util",
    "ovn-k8s-watcher": "watcher",
}
RUN_DIRECTORY = "/run/ovn-kubernetes"  # with what the CNI plugin knows too:
CNI_SOCKET, CNI_DELETIONS = "cni.sock", "cni-deletions"

# Kubernetes accounts that the programs have when the site play makes them.
ACCOUNTS_NAMESPACE = "ovn-kubernetes"
WATCHER_ACCOUNT = "ovn-k8s-watcher"

# Annotations of pods that users write.
INGRESS_BANDWIDTH = "kubernetes.io/ingress-bandwidth"
EGRESS_BANDWIDTH = "kubernetes.io/egress-bandwidth"

# Owner keys in external_ids: what carries them is ours, everything else is never touched.
CONTROLLER = "ovn.kubernetes"
OWNER_CONTROLLER = "k8s.ovn.org/owner-controller"
OWNER_TYPE = "k8s.ovn.org/owner-type"
OWNER_NAME = "k8s.ovn.org/name"
OWNER_ID = "k8s.ovn.org/id"

# Facts that rows carry in external_ids for whoever plans the next change.
CHASSIS_KEY = "k8s.ovn.org/chassis"
SUBNETS_KEY = "k8s.ovn.org/node-subnets"
PHYSICAL_IPS_KEY = "physical_ips"
EGRESS_KEY = "k8s.ovn.org/egress"
UPLINK_KEY = "bridge-uplink"
NIC_BEFORE_KEY = "k8s.ovn.org/nic-before"
FORWARDING_KEY = "k8s.ovn.org/ip-forward"
HOSTNAME_KEY = "k8s.ovn.org/hostname-before"
NETNS_KEY = "k8s.ovn.org/netns"
INSTALLED_KEY = "ovn-installed"  # ovn-controller's word on an interface whose flows are there

# What Kubernetes objects become.
POD_ANNOTATION = "ovn"
POD_NETWORKS_ANNOTATION = "k8s.ovn.org/pod-networks"
POD_UID_ANNOTATION = (
    "ovn.kubernetes/pod-uid"  # whose the two are: a pod may be born with those of the one that it was copied from
)
AFFINITY_ANNOTATION = "ovn.kubernetes/session-affinity"  # of a service: "timeout" when its timeoutSeconds are worth a client's first packet
POD_MARK = "pod"
SERVICE_KIND_KEY = "k8s.ovn.org/kind"
SERVICE_OWNER_KEY = "k8s.ovn.org/owner"

IFNAMSIZ = 15  # characters that Linux allows in a link's name, netdevice(7)


def node_name(name: str) -> str:
    """The one rule for node names: Kubernetes' name of the host, lower case (RFC 1123)."""
    return name.lower()


def node_account(node: str) -> str:
    """The service account of a node's server."""
    return "ovn-k8s-node-" + node


def link_name(name: str) -> str:
    """``name`` as a link's name: itself when it fits, else its start and a hash of the whole, so that no two collide."""
    if len(name) <= IFNAMSIZ:
        return name
    return f"{name[: IFNAMSIZ - 6]}-{hashlib.sha256(name.encode()).hexdigest()[:5]}"


def management_port(node: str) -> str:
    """Logical port of the host itself on its node switch, and iface-id of its OVS interface."""
    return "k8s-" + node


def management_link(node: str) -> str:
    """The Linux link behind the management port."""
    return link_name(management_port(node))


def router_to_switch(node: str) -> str:
    """Port of the cluster router towards a node switch."""
    return "rtos-" + node


def switch_to_router(node: str) -> str:
    """Port of a node switch towards the cluster router."""
    return "stor-" + node


def router_to_join(router: str) -> str:
    """Port of a router towards the join switch."""
    return "rtoj-" + router


def join_to_router(router: str) -> str:
    """Port of the join switch towards a router."""
    return "jtor-" + router


def gateway_router(node: str) -> str:
    """The router that lives on the node's chassis and leads outside."""
    return "GR_" + node


def external_switch(node: str) -> str:
    """The switch between a gateway router and the physical network."""
    return "ext_" + node


def router_to_external(node: str) -> str:
    """Port of the gateway router towards the physical network."""
    return "rtoe-" + gateway_router(node)


def external_to_router(node: str) -> str:
    """Port of the external switch towards the gateway router."""
    return "etor-" + gateway_router(node)


def external_port(bridge: str, node: str) -> str:
    """The localnet port of the external switch."""
    return f"{bridge}_{node}"


def uplink_bridge(nic: str) -> str:
    """The bridge that a NIC is moved into."""
    return link_name("br" + nic)


def pod_port(namespace, pod):
    """Logical port of a pod, and iface-id of its OVS interface. No namespace has an underscore (RFC 1123)."""
    return f"{namespace}_{pod}"


def load_balancer(namespace, service, protocol, scope):
    """A service's load balancer of one protocol; ``scope`` says for which way of reaching the service."""
    return f"Service_{namespace}/{service}_{protocol}_{scope}"


def node_address_variable(version, place):
    """Template variable that holds, on each chassis, that host's own address; place 0 is the node's, 1 the gateway's where it is another."""
    return f"NODEIP_IPv{version}_{place}"


def address_variable(address):
    """Template variable that holds this address, for places where only a variable may stand."""
    return "VIP_" + hashlib.sha256(address.encode()).hexdigest()[:20]


def local_backends_variable(namespace, service, port, protocol, version):
    """Template variable that holds, on each chassis, the service port's endpoints on that host."""
    whole = f"{namespace}/{service}:{port}:{protocol}:{version}"
    return "LOCAL_" + hashlib.sha256(whole.encode()).hexdigest()[:20]


def pod_link(container: str, ifname: str) -> str:
    """The host's end of a pod's pair of links: the start of the sandbox's ID, and a hash that tells attachments apart."""
    start = "".join(char for char in container if char.isalnum())[:6]
    return f"{start}_{hashlib.sha256(f'{container}/{ifname}'.encode()).hexdigest()[:8]}"


def uplink_file(nic: str) -> str:
    """The file that keeps a NIC in its bridge over boots."""
    return f"{UPLINKS_DIRECTORY}/{nic}.json"
