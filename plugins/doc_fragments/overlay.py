# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Documentation that the modules share."""

from __future__ import annotations


class ModuleDocFragment:
    """Options and attributes of every module that converges a part of the overlay."""

    DOCUMENTATION = r"""
options:
  state:
    description:
      - V(present) creates or changes the object as the other options say, V(absent) removes its rows, links,
        addresses, routes and files.
    type: str
    choices: [present, absent]
    default: present
  part:
    description:
      - An object has two parts, rows in OVN's Northbound database and state of its host. V(all) converges both, on
        a host that has both.
      - V(northbound) converges the rows only, and runs on a master. V(host) converges the host's own part only, and
        runs there; it does not use the Northbound database.
    type: str
    choices: [all, northbound, host]
    default: all
  cluster_ip_subnet:
    description:
      - The pods' network of the whole cluster, one IPv4 network, one IPv6 network, or one of each.
    type: list
    elements: str
  node_name:
    description:
      - Kubernetes' name of the host. Names are compared and written in lower case.
    type: str
  northbound:
    description:
      - Where the Northbound database is, C(unix:PATH), C(tcp:ADDRESS:PORT) or C(ssl:ADDRESS:PORT). Of a
        comma-separated list the member that leads the cluster is used.
      - By default the members that the site play has noted on the master, or the socket
        C(unix:/var/run/ovn/ovnnb_db.sock).
    type: str
  open_vswitch:
    description:
      - Where the host's own Open_vSwitch database is.
    type: str
    default: unix:/var/run/openvswitch/db.sock
  timeout:
    description:
      - Seconds to wait for a connection, and for each answer of a database.
    type: int
    default: 10
  private_key:
    description:
      - Path of the private key for C(ssl) remotes; by default of the key that the site play has made for the master.
    type: path
  certificate:
    description:
      - Path of the certificate for C(ssl) remotes; by default as for O(private_key).
    type: path
  ca_cert:
    description:
      - Path of the certificate of the authority that signed the database's certificate; by default as for
        O(private_key).
    type: path
requirements:
  - The Python library C(ovs) on the host (Debian and Ubuntu C(python3-openvswitch)).
  - For O(part=host) also C(pyroute2) (C(python3-pyroute2)).
attributes:
  action_group:
    support: full
    description: With C(group/ovn.kubernetes.ovn) C(module_defaults) sets O(northbound) and O(timeout) for all of them.
    membership: [ovn.kubernetes.ovn]
  check_mode:
    support: full
    description: >-
      Plans, and changes nothing. On a host without Open vSwitch or OVN the plan assumes that nothing exists yet.
  diff_mode:
    support: full
    description: Shows the rows, links, addresses, routes and files that differ, before and after.
  idempotent:
    support: full
    description: A second call with the same options changes nothing.
author:
  - ovn.kubernetes maintainers (!UNKNOWN)
"""
