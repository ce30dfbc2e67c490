# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The filter ovn.kubernetes.settings."""

from __future__ import annotations

DOCUMENTATION = r"""
name: settings
version_added: 0.1.0
short_description: What holds for an OVN host, defaults and facts included
description:
  - Puts together what the inventory says, what the facts say, and the defaults.
  - The tunnel address is by default that of the default route's interface, IPv4 before IPv6. This needs the facts
    of the host and of the masters, unless C(ovn_encap_ip) is set.
  - The MTU is by default the smallest one of the underlay, over all OVN hosts whose facts are known, minus 58 bytes
    for tunnels over IPv4 or 78 over IPv6. Set C(ovn_mtu) where plays are limited to some hosts and their MTUs are not
    the same.
  - Where C(ovn_mtu) is not set, one host's settings cost a look at all hosts. In a play over many hosts set it, or
    ask once for all of them.
requirements:
  - netaddr on the controller
positional: groups, host, only_with_facts, gathered, foreseen
options:
  host:
    description:
      - A host's name, for its settings.
      - A list of names, for a dictionary of host to settings; by default all hosts of the three groups.
    type: raw
  only_with_facts:
    description: Whether hosts without facts about their network are left out, where O(host) is not given.
    type: bool
    default: false
  foreseen:
    description:
      - Whether the steps of the masters' databases count as done, as in check mode. Without them, hosts stay with the
        protocol by which the southbound database listens.
    type: bool
    default: false
seealso:
  - plugin: ovn.kubernetes.problems
    plugin_type: filter
extends_documentation_fragment:
  - ovn.kubernetes.inventory
  - ovn.kubernetes.inventory.gathered
"""

EXAMPLES = r"""
- name: Work out the settings of this host
  ansible.builtin.set_fact:
    __ovn_settings: "{{ hostvars | ovn.kubernetes.settings(groups, inventory_hostname) }}"

- name: Work out the settings of all hosts of the play, once
  ansible.builtin.set_fact:
    __ovn_all_settings: "{{ hostvars | ovn.kubernetes.settings(groups, ansible_play_hosts) }}"
  run_once: true
"""

RETURN = r"""
_value:
  description: The settings, or a dictionary of host to settings.
  type: dict
  contains:
    node_name:
      description: Kubernetes' name of the host, in lower case.
      type: str
      sample: kube-minion1
    encap_ip:
      description: The tunnel address.
      type: str
      sample: 10.44.0.12
    encap_type:
      description: The kind of tunnels.
      type: str
      sample: geneve
    mtu:
      description: The pods' MTU.
      type: int
      sample: 1442
    cluster_subnets:
      description: The pods' networks, one of each family.
      type: list
      elements: str
      sample: [192.168.0.0/16]
    service_subnets:
      description: The service ranges; may be empty.
      type: list
      elements: str
      sample: [10.96.0.0/16]
    join_subnets:
      description: The join networks, of the families of the cluster.
      type: list
      elements: str
      sample: [100.64.0.0/16]
    node_subnets:
      description: What C(ovn_node_subnet) says; empty when it is left to P(ovn.kubernetes.node_subnets#filter).
      type: list
      elements: str
      sample: []
    southbound_remote:
      description: Where hosts find the southbound database; with commas between masters.
      type: str
      sample: tcp:10.44.0.11:6642
    southbound_central_remote:
      description: Where the masters' programs find the southbound database. One master's use its sockets instead.
      type: str
      sample: tcp:10.44.0.11:16642
    northbound_remote:
      description: Where the masters' programs find the northbound database. One master's use its sockets instead.
      type: str
      sample: tcp:10.44.0.11:6641
    monitor_all:
      description: Whether the host copies all of the southbound database; none where OVN's default holds.
      type: bool
      sample: null
    remote_probe:
      description: >-
        Milliseconds after which the host probes its southbound server; none where OVN's default holds.
      type: int
      sample: null
    datapath_type:
      description: C(system) or C(netdev); empty when it is to be found out.
      type: str
      sample: ""
    gateway:
      description: Nothing when the host is no gateway.
      type: dict
      contains:
        physical_interface:
          description: The dedicated NIC; empty where the NIC is shared.
          type: str
          sample: eth1
        shared_interface:
          description: The NIC that the host has too; empty where the gateway has its own.
          type: str
          sample: ""
        bridge_interface:
          description: The bridge that the shared NIC is in.
          type: str
          sample: ""
        physical_ips:
          description: Addresses with their prefix lengths.
          type: list
          elements: str
          sample: [10.55.0.138/24]
        default_gws:
          description: The next routers; may be empty.
          type: list
          elements: str
          sample: [10.55.0.253]
    log_level:
      description: From which level on the programs log.
      type: str
      sample: info
    openvswitch_settings:
      description: The entries of C(ovn_openvswitch_settings).
      type: list
      elements: dict
      sample: []
    rebalance_egress:
      description: Whether this run divides the pods equally among the gateways.
      type: bool
      sample: false
    tls:
      description: Whether the databases speak SSL.
      type: bool
      sample: false
    kubernetes:
      description: Nothing when there is no watcher and no CNI.
      type: dict
      contains:
        server:
          description: The API server.
          type: str
          sample: https://10.0.0.1:6443
        accounts:
          description: Whether the play makes the accounts and tokens.
          type: bool
          sample: true
        pods:
          description: Whether pods run on the host.
          type: bool
          sample: true
        programs:
          description: The files by which the host's programs reach the API server, and their accounts; no secrets.
          type: list
          elements: dict
          sample:
            - account: ovn-k8s-watcher
              file: /etc/ovn-kubernetes/kubernetes-watcher.json
              token_file: /etc/ovn-kubernetes/kubernetes-watcher.token
              settings: {server: "https://10.0.0.1:6443"}
"""

import typing as t
from collections.abc import Iterable, Mapping

from ansible.errors import AnsibleFilterError

from ..plugin_utils._errors import InventoryError
from ..plugin_utils._inventory import Inventory
from ..plugin_utils._settings import Cluster
from ..plugin_utils._settings import settings as host_settings


def settings(
    hostvars: Mapping[str, t.Any],
    groups: Mapping[str, t.Any],
    host: str | list[str] | None = None,
    only_with_facts: bool = False,
    gathered: Iterable[str] | None = None,
    foreseen: bool = False,
) -> dict[str, t.Any]:
    """Return the settings of one host, or of several by host."""
    try:
        inventory = Inventory(hostvars, groups, gathered)
        cluster = Cluster(inventory, foreseen)
        if isinstance(host, str):
            return host_settings(inventory, str(host), cluster)
        hosts = [str(name) for name in (inventory.hosts if host is None else host)]
        if host is None and only_with_facts:
            hosts = [name for name in hosts if inventory.facts(name).known]
        return {one: host_settings(inventory, one, cluster) for one in hosts}
    except InventoryError as error:
        raise AnsibleFilterError(f"ovn.kubernetes.settings: {error}") from error


class FilterModule:
    """The interface of Ansible's filter plugins."""

    def filters(self) -> dict[str, t.Any]:
        """Return the filters by name."""
        return {"settings": settings}
