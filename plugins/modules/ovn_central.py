#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: ovn_central
short_description: One step of OVN's databases on a master
version_added: 0.1.0
description:
  - Makes one change of one of the two databases on the master that it runs on, and waits until it has come true. The
    filter P(ovn.kubernetes.central_decision#filter) decides which steps lead from the databases of all masters as they
    are to those that the inventory asks for.
  - A file of a database is never deleted. It gets another name beside the new one, with the time.
  - The roles call it. Its options may change without notice.
options:
  action:
    description:
      - V(bootstrap) makes a cluster of one member, without a row; V(convert) makes it from a standalone database, with
        all rows; V(readdress) makes a cluster of one member anew, with all rows, at another address, or where the
        majority of the members is lost.
      - V(join) lets this master join through members that run, V(leave) lets it leave, V(kick) takes another member
        out.
      - V(start), V(restart) start the server, V(wait) waits until the cluster has a leader.
      - V(timer) sets the election timer, V(upgrade) brings the schema to the version of the package, V(listen) sets
        where the servers listen.
      - V(compact) lets the server write its file anew, which could not be written for a while.
      - V(set_aside) stops the server, and gives its file another name.
      - V(reset) lets ovn-controller and ovn-northd of this host forget how far the log of the Southbound and the
        Northbound cluster was, after a new cluster was made; a relay of the Southbound database is started again.
    type: str
    required: true
    choices:
      - bootstrap
      - convert
      - readdress
      - join
      - leave
      - kick
      - start
      - restart
      - wait
      - timer
      - upgrade
      - listen
      - compact
      - set_aside
      - reset
  database:
    description:
      - Which database; with O(action=reset) the one whose cluster was made anew, without it both.
      - V(relay) is the master's relay of the Southbound database, which is only started and
        told where it listens.
    type: str
    choices: [northbound, southbound, relay]
  address:
    description: The address of this master's member, for example V(ssl:10.0.0.1:6643).
    type: str
  remotes:
    description: Addresses of members that run.
    type: list
    elements: str
    default: []
  cluster:
    description: The ID of the cluster that is joined; a server with another one is not joined.
    type: str
  server:
    description: The first digits of the server ID of the member that is taken out.
    type: str
  timer:
    description: The election timer, milliseconds.
    type: int
    default: 0
  listeners:
    description: Where the servers listen. Rows of others in the table Connection stay, but for those of a relay.
    type: list
    elements: dict
    default: []
    suboptions:
      target:
        description: A passive connection method, for example V(pssl:6642).
        type: str
        required: true
      role:
        description: The role of its clients, for the Southbound database.
        type: str
        default: ""
      probe:
        description: The inactivity probe, milliseconds; without it the server's default.
        type: int
  reason:
    description: Why, for the plan.
    type: str
    default: ""
  files:
    description: Files from which the server is started, as in M(ovn.kubernetes.ovn_host). They are written before.
    type: list
    elements: dict
    default: []
    suboptions:
      path:
        description: As in M(ovn.kubernetes.ovn_host).
        type: path
        required: true
      content:
        description: As in M(ovn.kubernetes.ovn_host).
        type: str
      block:
        description: As in M(ovn.kubernetes.ovn_host).
        type: str
      source:
        description: As in M(ovn.kubernetes.ovn_host).
        type: path
      sha256:
        description: As in M(ovn.kubernetes.ovn_host).
        type: str
      mode:
        description: As in M(ovn.kubernetes.ovn_host).
        type: str
      absent:
        description: As in M(ovn.kubernetes.ovn_host).
        type: bool
        default: false
      folder:
        description: As in M(ovn.kubernetes.ovn_host).
        type: bool
        default: false
  units:
    description: Database to systemd's unit of its server; by default those of Debian.
    type: dict
    default: {}
  cut_off:
    description:
      - With O(action=reset), whether only those are to forget that are not connected to their database, and don't
        connect within some seconds.
      - It counts as a change where they are connected afterwards; where they are not, it is said.
    type: bool
    default: false
requirements:
  - On the host, C(ovsdb-tool) of Open vSwitch.
attributes:
  check_mode:
    support: full
    description: Says what would be done.
  diff_mode:
    support: full
    description: The diff says what is done.
  idempotent:
    support: partial
    description: A step that was done already is refused, or does nothing. Which steps are needed is decided before.
author:
  - ovn.kubernetes maintainers (!UNKNOWN)
seealso:
  - plugin: ovn.kubernetes.central_decision
    plugin_type: filter
  - module: ovn.kubernetes.ovn_facts
"""

EXAMPLES = r"""
- name: Let this master join the Northbound cluster
  ovn.kubernetes.ovn_central:
    action: join
    database: northbound
    address: ssl:10.0.0.2:6643
    remotes: [ssl:10.0.0.1:6643]
"""

RETURN = r"""
plan:
  description: What was, or would be, done.
  returned: always
  type: list
  elements: dict
  sample: [{"kind": "database", "operation": "join the cluster", "text": "northbound on ovn-master: join the cluster"}]
error_code:
  description: Name of the kind of error, for tasks that decide by it.
  returned: failure
  type: str
  sample: host
"""

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.common import respawn

from ..module_utils._ansible import argument_spec
from ..module_utils._ansible.central import carry_out
from ..module_utils._ansible.interpreter import with_libraries
from ..module_utils._ansible.on_host import on_host
from ..module_utils._ansible.results import exit_with_result


def main() -> None:
    with_libraries(respawn, "ovs")
    module = AnsibleModule(**argument_spec.OVN_CENTRAL)
    exit_with_result(module, lambda _notes: on_host(module, carry_out(module, module.run_command)))


if __name__ == "__main__":
    main()
