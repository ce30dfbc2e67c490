# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The one description of the inventory's variables. Private to the collection.

Made from it: the validation, the settings, AWX's surveys and credential types, meta/argument_specs.yml of the roles and
the tables of docs/inventory.md. ``tests/tools/generate-docs`` writes the latter two.
"""

from __future__ import annotations

import difflib
import re
import typing as t
from dataclasses import dataclass

# Scopes.
ALL = "all"  # one value for the whole cluster
HOST = "host"  # each host has its own
GATEWAY = "gateway"  # each host of ovn_gateways has its own
PLAY = "play"  # an extra variable of one play

PREFIX = "ovn_"
# Transposed, doubled and neighbouring letters of the prefix, without what may be somebody else's, and other separators.
MISSPELT_PREFIX = re.compile(r"(ovnn|ovn|onv|nov|von|ovm|ovb|obn|pvn|ivn|0vn)[_.\s-]*(?P<rest>[a-z].*)", re.IGNORECASE)


@dataclass(frozen=True)
class Variable:
    """One variable of the inventory.

    :ivar kind: how its value is read: a key of :data:`_values.READERS`.
    :ivar default: the value when it is not set. None: there is none, or it is derived.
    :ivar unset: what applies when it is not set, in words (Markdown).
    :ivar example: a right value, which messages show.
    :ivar meaning: one or two sentences (Markdown).
    :ivar secret: the value is never shown.
    :ivar credential: what it is, as the name of a kind of credential (AWX's credential types); empty: it is none.
    :ivar playbook: of an extra variable of one play: the playbook that reads it.
    """

    name: str
    scope: str
    kind: str
    default: t.Any
    unset: str
    example: str
    meaning: str
    choices: tuple[str, ...] = ()
    secret: bool = False
    required: bool = False
    credential: str = ""
    playbook: str = ""

    @property
    def file_environment(self) -> str:
        """The environment variable that may name a file with a credential instead; empty for all else."""
        return f"{self.name.upper()}_FILE" if self.credential else ""


_TABLE = (
    Variable(
        "ovn_cluster_subnet",
        ALL,
        "networks",
        None,
        "required",
        "192.168.0.0/16",
        "The pods' network; for dual stack a list of one IPv4 and one IPv6 network.",
        required=True,
    ),
    Variable(
        "ovn_service_subnet",
        ALL,
        "networks",
        None,
        "none; required with `ovn_kubernetes_api`",
        "10.96.0.0/16",
        "The API server's service range; a list for dual stack.",
    ),
    Variable(
        "ovn_external_ip_networks",
        ALL,
        "network_list",
        None,
        "none",
        "10.33.74.0/24",
        "The networks in which Kubernetes' services may name hosts' own addresses as `externalIPs`; a list. Elsewhere "
        "such an address is refused.",
    ),
    Variable(
        "ovn_join_subnet",
        ALL,
        "networks",
        ("100.64.0.0/16", "fd98::/64"),
        "`100.64.0.0/16`, and `fd98::/64` where the cluster has IPv6",
        "100.64.0.0/16",
        "The network between the cluster router and the gateway routers; a list for dual stack.",
    ),
    Variable(
        "ovn_node_subnet_prefix",
        ALL,
        "prefixes",
        (24, 64),
        "`24` for IPv4, `64` for IPv6",
        "24",
        "The size of a planned node subnet. One number is for the cluster's IPv4 network, or for its IPv6 network "
        "when that is the only one; "
        "a list of two is for IPv4 and IPv6.",
    ),
    Variable(
        "ovn_encap_type",
        ALL,
        "choice",
        "geneve",
        "`geneve`",
        "geneve",
        "The type of the tunnels between hosts.",
        choices=("geneve",),
    ),
    Variable(
        "ovn_mtu",
        ALL,
        "whole",
        None,
        "the smallest MTU on the ways between the hosts' tunnel addresses, minus 58 (78 for tunnels over IPv6)",
        "1442",
        "The pods' MTU.",
    ),
    Variable(
        "ovn_tls",
        ALL,
        "boolean",
        True,
        "`true`",
        "true",
        "SSL on both databases, and role-based access control on the southbound one.",
    ),
    Variable(
        "ovn_monitor_all",
        ALL,
        "boolean",
        None,
        "`true` for more than 50 hosts; else OVN's own default, `false`",
        "true",
        "Whether each host copies all of the southbound database, or asks for the part that it needs, which costs the "
        "masters more.",
    ),
    Variable(
        "ovn_southbound_relays",
        ALL,
        "boolean",
        False,
        "`false`",
        "true",
        "Whether hosts are connected to the southbound database through relays, one on each master, which do the work "
        "that each host costs in its place; for more than 50 hosts.",
    ),
    Variable(
        "ovn_withdrawn_addresses",
        ALL,
        "addresses",
        None,
        "none",
        "10.33.74.66",
        "Addresses of hosts that are not trusted any more, a list: the masters' nftables table shuts them out of every "
        "port of OVN, at once.",
    ),
    Variable(
        "ovn_tls_folder",
        ALL,
        "path",
        None,
        "`.ovn-tls`, beside the inventory",
        ".ovn-tls",
        "The folder on the controller with the two CAs, whose keys no host gets: `central-ca.key`, `central-ca.crt`, "
        "`chassis-ca.key` and `chassis-ca.crt`. The first run makes them; a relative path begins beside the inventory.",
    ),
    *(
        Variable(
            f"ovn_tls_{role}_ca_{part}",
            ALL,
            "text",
            None,
            f"the file that `OVN_TLS_{role.upper()}_CA_{part.upper()}_FILE` names in the environment; else "
            f"`{role}-ca.{end}` in `ovn_tls_folder`",
            f"/etc/ovn-tls/{role}-ca.{end}",
            meaning,
            secret=True,
            credential=f"{part} of the {role} CA",
        )
        for role, part, end, meaning in (
            (
                "central",
                "certificate",
                "crt",
                "The certificate of the CA of the masters: PEM text, or a path on the controller; a relative path "
                "begins beside the inventory. A CA that is to be replaced follows the new one.",
            ),
            (
                "central",
                "key",
                "key",
                "The key of the CA of the masters: PEM text, best in a vault, or a path as that of the certificate. "
                "Without the keys of both CAs the hosts' own certificates are only checked.",
            ),
            (
                "chassis",
                "certificate",
                "crt",
                "The certificate of the CA of the hosts' OVN controllers, which must be another one: PEM text, or a "
                "path as that of the masters' CA.",
            ),
            (
                "chassis",
                "key",
                "key",
                "The key of the CA of the hosts' OVN controllers: PEM text, best in a vault, or a path as that of the "
                "masters' CA.",
            ),
        )
    ),
    Variable(
        "ovn_tls_days",
        ALL,
        "whole",
        730,
        "`730`",
        "730",
        "For how many days a host's certificate is valid. A site run renews it when less than a third of that, at "
        "most 30 days, is left.",
    ),
    Variable(
        "ovn_tls_ca_days",
        ALL,
        "whole",
        3650,
        "`3650`",
        "3650",
        "For how many days the certificate of a CA that the play makes is valid.",
    ),
    Variable(
        "ovn_kubernetes_api",
        ALL,
        "url",
        None,
        "no watcher, no CNI: an OVN overlay without Kubernetes",
        "https://10.0.0.1:6443",
        "The API server: `https://host:6443`, or `http://...` on request; a list of several, or the address of a load "
        "balancer before them.",
    ),
    Variable(
        "ovn_kubernetes_ca",
        ALL,
        "text",
        None,
        "the file that `OVN_KUBERNETES_CA_FILE` names in the environment; else none",
        "/etc/kubernetes/pki/ca.crt",
        "The API server's certificate authority: PEM text, or a path on the controller; a relative path begins beside "
        "the inventory.",
        secret=True,
        credential="certificate authority",
    ),
    Variable(
        "ovn_kubernetes_token",
        ALL,
        "token",
        None,
        "the text of the file that `OVN_KUBERNETES_TOKEN_FILE` names in the environment; else none",
        "eyJhbGciOiJSUzI1NiJ9.e30.c2ln",
        "The watcher's bearer token.",
        secret=True,
        credential="token",
    ),
    Variable(
        "ovn_kubernetes_admin_kubeconfig",
        ALL,
        "kubeconfig",
        None,
        "the file that `OVN_KUBERNETES_ADMIN_KUBECONFIG_FILE` names in the environment; else none",
        "/home/me/.kube/config",
        "An administrator's kubeconfig, its text or its path on the controller, which begins beside the inventory "
        "where it is relative; with it the site play makes the service accounts and tokens itself, with least "
        "privilege.",
        secret=True,
        credential="administrator's kubeconfig",
    ),
    Variable(
        "ovn_node_name",
        HOST,
        "name",
        None,
        "kubespray's `kube_override_hostname`; else, for hosts of its group `k8s_cluster`, the inventory name; "
        "else the short inventory name. In lower case",
        "node1",
        "Kubernetes' name of the host.",
    ),
    Variable(
        "ovn_node_subnet",
        HOST,
        "networks",
        None,
        "planned, and then kept",
        "192.168.2.0/24",
        "The host's pods' subnet; for dual stack a list of one IPv4 and one IPv6 network.",
    ),
    Variable(
        "ovn_encap_ip",
        HOST,
        "address",
        None,
        "the address of the default route's interface",
        "10.33.74.11",
        "The host's tunnel address, IPv4 on all hosts or IPv6 on all hosts; it may be on the loopback.",
    ),
    Variable(
        "ovn_gateway_interface",
        GATEWAY,
        "interface",
        None,
        "none; required on a gateway",
        "eth1",
        "The NIC that only the gateway uses, on the physical network.",
    ),
    Variable(
        "ovn_gateway_shared_interface",
        GATEWAY,
        "interface",
        None,
        "none",
        "eth0",
        "Instead of a dedicated NIC: the NIC that host and pods share; it is moved into `br<nic>`.",
    ),
    Variable(
        "ovn_gateway_ip",
        GATEWAY,
        "interface_addresses",
        None,
        "for a shared NIC what the NIC has; required with a dedicated one",
        "10.33.74.138/24",
        "The gateway's physical address with its prefix length; a list for dual stack.",
    ),
    Variable(
        "ovn_gateway_next_hop",
        GATEWAY,
        "next_hops",
        None,
        "for a shared NIC what the NIC has; with a dedicated one no route beyond its network",
        "10.33.74.253",
        "The next router on the physical network; a list for dual stack.",
    ),
    Variable(
        "ovn_datapath_type",
        HOST,
        "choice",
        None,
        "detected",
        "system",
        "`system`, or `netdev` where the kernel has no openvswitch.",
        choices=("system", "netdev"),
    ),
    Variable(
        "ovn_log_level",
        HOST,
        "choice",
        "info",
        "`info`",
        "debug",
        "From which level on the programs of the collection log on the host: `error`, `warning`, `info` or `debug`.",
        choices=("error", "warning", "info", "debug"),
    ),
    Variable(
        "ovn_openvswitch_settings",
        HOST,
        "openvswitch_settings",
        None,
        "none",
        "[{table: Open_vSwitch, record: ., column: other_config, key: hw-offload, value: true}]",
        "Your own settings of Open vSwitch, a list of `table`, `record`, `column`, `key` and `value`; "
        "`openvswitch.openvswitch.openvswitch_db` sets them, and takes back those that leave the list.",
    ),
    Variable(
        "ovn_egress_rebalance",
        PLAY,
        "boolean",
        False,
        "`false`",
        "true",
        "Lets `ovn.kubernetes.site` divide the pods equally among the gateways that carry traffic. Connections of pods "
        "that move to another gateway are cut.",
        playbook="site",
    ),
    Variable(
        "ovn_tls_rotate",
        PLAY,
        "choices",
        None,
        "none",
        "keys",
        "What `ovn.kubernetes.site` makes anew, a list or names with commas: `keys` for the keys and certificates of "
        "all hosts, `central_ca` and `chassis_ca` for the CAs.",
        choices=("keys", "central_ca", "chassis_ca"),
        playbook="site",
    ),
    Variable(
        "ovn_remove_hosts",
        PLAY,
        "hosts",
        None,
        "none",
        "node2",
        "The hosts that `ovn.kubernetes.remove` removes: a list, or names with commas.",
        playbook="remove",
    ),
    Variable(
        "ovn_remove_confirmed",
        PLAY,
        "boolean",
        False,
        "`false`",
        "true",
        "Allows `ovn.kubernetes.remove` to remove everything.",
        playbook="remove",
    ),
    Variable(
        "ovn_recover_from",
        PLAY,
        "text",
        None,
        "none",
        "ovn-master",
        "The master from whose last state `ovn.kubernetes.recover` makes a new cluster, where the majority is lost.",
        playbook="recover",
    ),
)

VARIABLES: dict[str, Variable] = {variable.name: variable for variable in _TABLE}


def closest(name: str) -> str:
    """Return the known variable whose name is most similar, or an empty text when none is similar enough."""
    rest = name[len(PREFIX) :].lower()
    return _closest(rest, 0.6) or next((known for known in VARIABLES if known.endswith(f"_{rest}")), "")


def meant(name: str) -> str:
    """Return the known variable that a name with a misspelt prefix means, like ``onv_mtu``, ``ovnmtu``, ``OVN_MTU``;
    empty text for all other names."""
    found = None if name.startswith(PREFIX) else MISSPELT_PREFIX.fullmatch(name)
    return _closest(re.sub(r"[.\s-]+", "_", found["rest"].lower()), 0.85) if found else ""


def _closest(rest: str, cutoff: float) -> str:
    # The prefix would make all of them similar.
    without_prefix = {known[len(PREFIX) :]: known for known in VARIABLES}
    matches = difflib.get_close_matches(rest, without_prefix, n=1, cutoff=cutoff)
    return "".join(without_prefix[match] for match in matches)
