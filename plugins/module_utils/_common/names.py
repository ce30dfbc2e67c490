# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""All names of OVN, Open vSwitch, Kubernetes and host objects that this collection makes, and the keys by which it
knows its own.

The names are those of the original overlay tool and of today's ovn-kubernetes, so that operators and their tools find
what they know.
No other file of the collection spells one of these names.
"""

from __future__ import annotations

import hashlib

# Databases (ovsdb-server(7), ovn-nb(5), ovn-sb(5), ovs-vswitchd.conf.db(5)).
NORTHBOUND = "OVN_Northbound"
SOUTHBOUND = "OVN_Southbound"
LOCAL = "Open_vSwitch"
RELAY_DATABASE = "OVN_Kubernetes_Relay"  # of a relay, what is its own (southbound-relay.ovsschema)
NORTHBOUND_SOCKET = "unix:/var/run/ovn/ovnnb_db.sock"
SOUTHBOUND_SOCKET = "unix:/var/run/ovn/ovnsb_db.sock"
LOCAL_SOCKET = "unix:/var/run/openvswitch/db.sock"
NORTHBOUND_PORT = 6641
SOUTHBOUND_PORT = 6642  # for chassis: with SSL, the listener has the role ovn-controller (ovn-sb(5), RBAC)
SOUTHBOUND_CENTRAL_PORT = 16642  # for masters: a listener without a role, which gives whoever is accepted everything
NORTHBOUND_RAFT_PORT, SOUTHBOUND_RAFT_PORT = 6643, 6644
# For chassis while a run switches SOUTHBOUND_PORT between tcp and ssl: one port can't speak both.
SOUTHBOUND_SWITCH_PORT = 16652

# The cluster.
CLUSTER_ROUTER = "ovn_cluster_router"
JOIN_SWITCH = "join"
LB_GROUP_ALL = "clusterLBGroup"
LB_GROUP_SWITCHES = "clusterSwitchLBGroup"
LB_GROUP_ROUTERS = "clusterRouterLBGroup"
HOST_ADDRESSES = {4: "ovn_kubernetes_hosts_IPv4", 6: "ovn_kubernetes_hosts_IPv6"}  # address sets: all hosts' own
# Of addresses that some sources only may reach (loadBalancerSourceRanges). Whoever is in one of these groups has a port
# in the port group, whose ACLs restrict them.
LB_GROUP_SWITCHES_RANGES = "clusterSwitchRangesLBGroup"
LB_GROUP_ROUTERS_RANGES = "clusterRouterRangesLBGroup"
RANGES_PORT_GROUP = "clusterSourceRanges"
CLUSTER_ROUTER_MARK = "k8s-cluster-router"
JOIN_MARK = "connect_to_join"

# A host.
INTEGRATION_BRIDGE = "br-int"
MANAGEMENT_PREFIX = "k8s-"  # of management ports and their links
PHYSICAL_NETWORK = "physnet"
SETTINGS_DIRECTORY = "/etc/ovn-kubernetes"
OVN_SYSCONFIG = "/etc/sysconfig/ovn"  # of OVN's packages for EL: as which user its units run the daemons
NODE_SETTINGS = SETTINGS_DIRECTORY + "/node.json"  # of the host's part of the node, for the next boot
GATEWAY_SETTINGS = SETTINGS_DIRECTORY + "/gateway.json"
# Environment of the units of programs: from which level on they log.
LOG_SETTINGS = SETTINGS_DIRECTORY + "/log.env"
LOG_LEVEL = "OVN_KUBERNETES_LOG_LEVEL"
GATEWAY_HELPER_UNIT = "/etc/systemd/system/ovn-k8s-gateway-helper.service"
# Exists on the host that the site play has given the databases to.
CENTRAL_DROP_IN = "/etc/systemd/system/ovn-northd.service.d/ovn-kubernetes.conf"
# Who may reach the ports of the databases: a table of nftables on each master, family inet, and the file from which it
# comes back before the databases start (libnftables-json(5)). The drop-ins are of the units that load it.
CENTRAL_TABLE = "ovn-kubernetes-central"
CENTRAL_PORTS = SETTINGS_DIRECTORY + "/central-ports.json"
CENTRAL_PORTS_UNIT = "ovn-k8s-central-ports.service"  # keeps the table while the host runs
CENTRAL_PORTS_DROP_IN = "/etc/systemd/system/{0}.service.d/ovn-kubernetes-ports.conf"
# The relay of the Southbound database on each master, through which chassis go, and where its own files are.
RELAY_UNIT = "ovn-k8s-southbound-relay.service"
RELAY_DIRECTORY = "/var/lib/ovn-kubernetes"
RELAY_RUN_DIRECTORY = "/run/ovn-k8s-southbound-relay"
SYSTEM_ID_FILE = "/etc/openvswitch/system-id.conf"  # from which Open vSwitch takes its system-id, ovs-ctl(8)
# How the watcher and a node's server reach the API server (_kube/settings.py). A master that is a node too has both.
WATCHER_ACCESS = SETTINGS_DIRECTORY + "/kubernetes-watcher.json"
NODE_ACCESS = SETTINGS_DIRECTORY + "/kubernetes-node.json"
WATCHER_TOKEN = SETTINGS_DIRECTORY + "/kubernetes-watcher.token"
NODE_TOKEN = SETTINGS_DIRECTORY + "/kubernetes-node.token"
KUBERNETES_CA = SETTINGS_DIRECTORY + "/kubernetes-ca.crt"
# Where the programs and modules of a master find the databases of several masters.
CENTRAL_ACCESS = SETTINGS_DIRECTORY + "/central.json"
# Keys and certificates: one file with both, so that they are replaced together.
TLS_DIRECTORY = SETTINGS_DIRECTORY + "/tls"
CHASSIS_PEM = TLS_DIRECTORY + "/chassis.pem"
CENTRAL_PEM = TLS_DIRECTORY + "/central.pem"  # of masters
CENTRAL_CA = TLS_DIRECTORY + "/central-ca.crt"  # whom everybody trusts as a server
SOUTHBOUND_CA = TLS_DIRECTORY + "/southbound-ca.crt"  # whom the Southbound server trusts: central and chassis
# Cookie of the flows that steer packets of a shared NIC to the host or to the pods. Flows with this cookie are ours.
FLOW_COOKIE = 0x6F766E6B
# Source ports of pods' connections to the external network where the host has the same address. They are below those
# that the kernel chooses (net.ipv4.ip_local_port_range begins at 32768, ip(7)), and below Kubernetes' node ports (30000
# to 32767). They are above those of IKE, where both sides send from the port that they send to: 500 and 4500 (RFC 7296,
# 2.23), and above Geneve's 6081 (RFC 8926): what comes to that port of the host is its tunnels'.
SHARED_PORTS = "6082-29999"
UPLINKS_DIRECTORY = SETTINGS_DIRECTORY + "/uplinks"
# The NICs whose packets are dropped, a file each, and the unit that keeps the drops. Like them it is gone after a boot.
DROPS_DIRECTORY = "/run/ovn-kubernetes-drops"
DROPS_UNIT = "ovn-k8s-drops.service"
JOURNAL_DIRECTORY = "/var/lib/ovn-kubernetes/uplinks"
UPLINKS_UNIT = "ovn-k8s-uplinks.service"
HOST_UNIT = "ovn-k8s-host.service"
CNI_CONFIGURATION = "/etc/cni/net.d/10-ovn-kubernetes.conflist"
CNI_PLUGIN = "ovn-k8s-cni-overlay"
PROXY_HEALTH_PORT = 10256  # kube-proxy's (--healthz-bind-address): load balancers of clouds check hosts there
PLUGINS_DIRECTORY = "/opt/cni/bin"
CNI_PLUGIN_FILE = f"{PLUGINS_DIRECTORY}/{CNI_PLUGIN}"
ARCHIVE = "/usr/local/lib/ovn_kubernetes.pyz"
COMMANDS_DIRECTORY = "/usr/local/bin"
COMMANDS = {  # command -> the program of the archive that it runs
    "ovn-k8s-gateway-helper": "gateway_helper",
    "ovn-k8s-overlay": "overlay",
    "ovn-k8s-util": "util",
    "ovn-k8s-watcher": "watcher",
}
# Where the resident programs tell how they are.
WATCHER_LISTEN, NODE_LISTEN, EGRESS_LISTEN = "127.0.0.1:9409", "127.0.0.1:9410", "127.0.0.1:9411"
HOST_LOCK = "/run/ovn-kubernetes.lock"  # held by who changes the host
RUN_DIRECTORY = "/run/ovn-kubernetes"
# Names in it; the CNI plugin, which is a program without imports, spells them too.
CNI_SOCKET, CNI_DELETIONS, CNI_ATTACHMENTS = "cni.sock", "cni-deletions", "cni-attachments"
CNI_REFUSED = "cni-refused"  # deletions that can't be read
CNI_UNAVAILABLE = "network-unavailable"  # exists while new pods are kept away from the node
OVN_RUN_DIRECTORY = "/var/run/ovn"
OPENVSWITCH_RUN_DIRECTORY = "/var/run/openvswitch"

# Kubernetes service accounts of the programs, when the site play makes them.
ACCOUNTS_NAMESPACE = "ovn-kubernetes"
WATCHER_ACCOUNT = "ovn-k8s-watcher"

# Annotations of pods that users write.
INGRESS_BANDWIDTH = "kubernetes.io/ingress-bandwidth"
EGRESS_BANDWIDTH = "kubernetes.io/egress-bandwidth"

# Owner keys in external_ids. A row with them is ours; other rows are never changed.
CONTROLLER = "ovn.kubernetes"
OWNER_CONTROLLER = "k8s.ovn.org/owner-controller"
OWNER_TYPE = "k8s.ovn.org/owner-type"
OWNER_NAME = "k8s.ovn.org/name"
OWNER_ID = "k8s.ovn.org/id"

# Facts in external_ids of our rows, for the next plan.
CHASSIS_KEY = "k8s.ovn.org/chassis"
ENCAP_IPS_KEY = "k8s.ovn.org/node-encap-ips"
SUBNETS_KEY = "k8s.ovn.org/node-subnets"
CLUSTER_SUBNETS_KEY = "k8s.ovn.org/cluster-subnets"
JOIN_SUBNETS_KEY = "k8s.ovn.org/join-subnets"
NEXT_HOPS_KEY = "k8s.ovn.org/next-hops"
PHYSICAL_IPS_KEY = "physical_ips"
PHYSICAL_MTU_KEY = "k8s.ovn.org/physical-mtu"
EGRESS_KEY = "k8s.ovn.org/egress"
EGRESS_FLAPS_KEY = "k8s.ovn.org/egress-flaps"
EGRESS_SLOTS_KEY = {4: "k8s.ovn.org/egress-slots-4", 6: "k8s.ovn.org/egress-slots-6"}
UPLINK_KEY = "bridge-uplink"
NIC_BEFORE_KEY = "k8s.ovn.org/nic-before"
NIC_SETTINGS_BEFORE_KEY = "k8s.ovn.org/nic-settings-before"
FORWARDING_KEY = "k8s.ovn.org/ip-forward"
HOSTNAME_KEY = "k8s.ovn.org/hostname-before"
NETNS_KEY = "k8s.ovn.org/netns"
NETWORK_KEY = "k8s.ovn.org/network"  # name of the CNI configuration that a pod's interface is of
INSTALLED_KEY = "ovn-installed"  # set by ovn-controller when an interface's flows exist (ovn-controller(8))

# Annotations of pods and services, and keys of the rows that they become.
POD_ANNOTATION = "ovn"
POD_NETWORKS_ANNOTATION = "k8s.ovn.org/pod-networks"
# UID of the pod that the two annotations are for: a copied or restored pod is created with those of another one.
POD_UID_ANNOTATION = "ovn.kubernetes/pod-uid"
LINK_LOCAL_ANNOTATION = "ovn.kubernetes/link-local-addresses"  # of a Node, by its own host
ROUTERS_ANNOTATION = "ovn.kubernetes/default-routers"  # the same
# Of a service: "timeout" or "hash", where the API server's default time-out does not say which is meant.
AFFINITY_ANNOTATION = "ovn.kubernetes/session-affinity"
POD_MARK = "pod"
STAYS_KEY = "k8s.ovn.org/stays-on-drain"  # of the port of a pod that a drain of its node leaves there
SERVICE_KIND_KEY = "k8s.ovn.org/kind"
SERVICE_OWNER_KEY = "k8s.ovn.org/owner"

IFNAMSIZ = 15  # characters in the name of a link without the final zero, netdevice(7)


def node_name(name: str) -> str:
    """Return Kubernetes' name of a host: lower case (RFC 1123)."""
    return name.lower()


def node_account(node: str) -> str:
    """Return the service account of a node's server."""
    return "ovn-k8s-node-" + node


def link_name(name: str) -> str:
    """Return ``name`` when it fits as the name of a link, else its start and a hash of the whole, so that no two are
    equal.
    """
    if len(name) <= IFNAMSIZ:
        return name
    return f"{name[: IFNAMSIZ - 6]}-{hashlib.sha256(name.encode()).hexdigest()[:5]}"


def management_port(node: str) -> str:
    """Return the logical port of the host on its node switch, which is the iface-id of its OVS interface."""
    return MANAGEMENT_PREFIX + node


def management_link(node: str) -> str:
    """Return the Linux link of the management port."""
    return link_name(management_port(node))


def router_to_switch(node: str) -> str:
    """Return the port of the cluster router to a node switch."""
    return "rtos-" + node


def switch_to_router(node: str) -> str:
    """Return the port of a node switch to the cluster router."""
    return "stor-" + node


def router_to_join(router: str) -> str:
    """Return the port of a router to the join switch."""
    return "rtoj-" + router


def join_to_router(router: str) -> str:
    """Return the port of the join switch to a router."""
    return "jtor-" + router


def gateway_router(node: str) -> str:
    """Return the router on the node's chassis that forwards to the external network."""
    return "GR_" + node


def external_switch(node: str) -> str:
    """Return the switch between a gateway router and the external network."""
    return "ext_" + node


def router_to_external(node: str) -> str:
    """Return the port of the gateway router to its external switch."""
    return "rtoe-" + gateway_router(node)


def external_to_router(node: str) -> str:
    """Return the port of the external switch to the gateway router."""
    return "etor-" + gateway_router(node)


def external_port(bridge: str, node: str) -> str:
    """Return the localnet port of the external switch."""
    return f"{bridge}_{node}"


def uplink_bridge(nic: str) -> str:
    """Return the bridge that a NIC is moved into."""
    return link_name("br" + nic)


def pod_port(namespace: str, pod: str) -> str:
    """Return the logical port of a pod, which is the iface-id of its OVS interface.

    No namespace has an underscore (RFC 1123), so no two pods have the same.
    """
    return f"{namespace}_{pod}"


def load_balancer(namespace: str, service: str, protocol: str, scope: str) -> str:
    """Return the load balancer of a service and a protocol.

    :param scope: how clients reach the service, for example ``cluster`` or ``node``.
    """
    return f"Service_{namespace}/{service}_{protocol}_{scope}"


def node_address_variable(version: int, place: int) -> str:
    """Return the template variable that has, on each chassis, the host's own address.

    :param place: 0 for the node's address, 1 for the gateway's when it is another one.
    """
    return f"NODEIP_IPv{version}_{place}"


def address_variable(address: str) -> str:
    """Return the template variable of a fixed address, for columns that need a variable."""
    return "VIP_" + hashlib.sha256(address.encode()).hexdigest()[:20]


def local_backends_variable(namespace: str, service: str, port: str | int, protocol: str, version: int) -> str:
    """Return the template variable that has, on each chassis, the endpoints of a service's port on that host."""
    return "LOCAL_" + _backends(namespace, service, port, protocol, version)


def hinted_backends_variable(namespace: str, service: str, port: str | int, protocol: str, version: int) -> str:
    """Return the template variable that has, on each chassis, the endpoints of a service's port for that host."""
    return "HINTED_" + _backends(namespace, service, port, protocol, version)


def _backends(namespace: str, service: str, port: str | int, protocol: str, version: int) -> str:
    return hashlib.sha256(f"{namespace}/{service}:{port}:{protocol}:{version}".encode()).hexdigest()[:20]


def pod_link(container: str, ifname: str) -> str:
    """Return the host's end of a pod's veth pair: the start of the container ID, and a hash that differs for each
    interface.
    """
    start = "".join(char for char in container if char.isalnum())[:6]
    return f"{start}_{hashlib.sha256(f'{container}/{ifname}'.encode()).hexdigest()[:8]}"


def gateway_nic_file(nic: str) -> str:
    """Return the path of what is kept of a NIC that only the gateway uses."""
    return f"{UPLINKS_DIRECTORY}/{nic}.gateway"


def uplink_file(nic: str) -> str:
    """Return the file by which a NIC is moved into its bridge at boot."""
    return f"{UPLINKS_DIRECTORY}/{nic}.json"
