#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: ovn_services
short_description: Run services as their files are now
version_added: 0.1.0
description:
  - Installs units, starts and enables services, and restarts those that were started before their files changed.
  - Whether a service must be restarted is decided by what the host shows, the times of the files and of the
    service's start. A run that failed after it had copied a file is completed by the next run.
options:
  services:
    description: The services, in the order in which they are handled.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: Name of the unit with its suffix, such as V(ovn-k8s-node.service).
        type: str
        required: true
      state:
        description:
          - With V(started) the service runs, now and after each boot.
          - With V(stopped) it does neither.
          - With V(absent) it does neither, and its file below C(/etc/systemd/system) is removed.
        type: str
        choices: [started, stopped, absent]
        default: started
      unit:
        description: Content of the unit's file below C(/etc/systemd/system). Leave it out for a unit of a package.
        type: str
      started_from:
        description:
          - Files that the service reads at its start. It is restarted when one of them, or its unit, is newer than
            the running service.
          - Without this option it is never restarted.
        type: list
        elements: path
      optional:
        description: Whether a unit that does not exist is no error.
        type: bool
        default: false
      enabled:
        description: Whether V(started) is for each boot too. With V(false) another unit starts the service at a boot.
        type: bool
        default: true
attributes:
  check_mode:
    support: full
    description: The plan is made against the host as it is, and not carried out.
  diff_mode:
    support: full
    description: The diff holds the text of the units that are written.
  idempotent:
    support: full
    description: A second call changes nothing.
author:
  - ovn.kubernetes maintainers (!UNKNOWN)
"""

EXAMPLES = r"""
- name: Run the watcher as its files are now
  ovn.kubernetes.ovn_services:
    services:
      - name: ovn-k8s-watcher.service
        unit: "{{ lookup('ansible.builtin.file', 'ovn-k8s-watcher.service', rstrip=false) }}"
        started_from: [/usr/local/lib/ovn_kubernetes.pyz, /etc/ovn-kubernetes/kubernetes-watcher.json]
"""

RETURN = r"""
plan:
  description: What was, or would be, done, in order.
  returned: always
  type: list
  elements: dict
  sample: [{"text": "ovn-k8s-watcher.service: start"}]
found:
  description: Names of those services that existed before.
  returned: success
  type: list
  elements: str
  sample: [ovn-k8s-watcher.service]
error_code:
  description: Name of the kind of error, for tasks that decide by it.
  returned: failure
  type: str
  sample: host
"""

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._ansible import argument_spec
from ..module_utils._ansible.on_host import require_root
from ..module_utils._ansible.results import failure
from ..module_utils._common.errors import OvnKubernetesError
from ..module_utils._host import units


def main() -> None:
    """Converge the services one after the other."""
    module = AnsibleModule(
        argument_spec={"services": {**argument_spec.SERVICES, "required": True}}, supports_check_mode=True
    )
    plan: list[dict[str, str]] = []
    diff: list[dict[str, str]] = []
    found: list[str] = []
    try:
        require_root()
        desired = [units.Unit.from_options(options) for options in module.params["services"]]
        for converged in units.converge(module.run_command, desired, module.check_mode):
            plan += [{"text": step.text} for step in converged.steps]
            diff += [
                {
                    "before_header": step.path,
                    "after_header": step.path,
                    "before": step.current or "",
                    "after": step.write.content if step.write else "",
                }
                for step in converged.steps
                if step.path
            ]
            found += converged.found
    except (OvnKubernetesError, OSError) as error:
        module.fail_json(**failure(error), plan=plan)
    module.exit_json(changed=bool(plan), plan=plan, found=found, diff=diff)


if __name__ == "__main__":
    main()
