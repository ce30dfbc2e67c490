# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The filter ovn.kubernetes.findings."""

from __future__ import annotations

DOCUMENTATION = r"""
name: findings
author:
  - ovn.kubernetes maintainers (!UNKNOWN)
version_added: 0.1.0
short_description: What is wrong on all hosts, as one table
description:
  - Puts the results of M(ovn.kubernetes.ovn_verify) on all hosts together, hosts that can't be reached among them, and
    adds what only shows between hosts, such as a system-id that two of them have.
positional: hosts, names, verification, overlay, master, sources
options:
  _input:
    description: >-
      C(hostvars). Each host has the results of M(ovn.kubernetes.ovn_verify) in C(common_facts) and C(common_verified).
    type: dict
    required: true
  hosts:
    description: The hosts of the play.
    type: list
    elements: str
    required: true
  names:
    description: Host to node name.
    type: dict
    required: true
  verification:
    description: What P(ovn.kubernetes.verification#filter) returns. Its sentences are read.
    type: dict
    required: true
  overlay:
    description: The result of M(ovn.kubernetes.ovn_verify) for the phase C(overlay).
    type: dict
    required: true
  master:
    description: The host with the databases; empty when limit or tags leave it out.
    type: str
    required: true
  sources:
    description: The inventory, as C(ansible_inventory_sources) has it, for the command that mends.
    type: list
    elements: str
    default: []
"""

EXAMPLES = r"""
- name: Show what is wrong
  ansible.builtin.debug:
    msg: "{{ (hostvars | ovn.kubernetes.findings(ansible_play_hosts_all, names, plan, overlay, 'master1')).table }}"
  run_once: true
"""

RETURN = r"""
_value:
  description: >-
    C(rows) with C(host), C(severity), C(wrong), C(causes) and C(mend); the same as lines of C(table); the numbers
    C(errors) and C(warnings), and both in words as C(summary). C(versions), lines of a table of what runs on each host.
    C(advisories), lines on public advisories that no package mends yet, or that are not known to be mended.
  type: dict
  sample:
    rows:
      - host: kube-minion1
        severity: error
        wrong: "ovn-controller.service does not run: inactive (dead)"
        causes: "this host is no chassis of the overlay: its pods can't be reached, and new pods hang"
        mend: ansible-playbook -i inventory.yml ovn.kubernetes.site
    table:
      - "HOST         | | WHAT IS WRONG | WHAT IT CAUSES | WHAT MENDS IT"
    errors: 1
    warnings: 0
    summary: 1 error and 0 warnings
"""

import typing as t
from collections.abc import Iterable, Mapping

from ..module_utils._verify.finding import ERROR
from ..plugin_utils import _findings, _versions
from ..plugin_utils._errors import count

FACTS = "common_facts"
RESULTS = "common_verified"


def findings(
    hostvars: Mapping[str, t.Any],
    hosts: Iterable[str],
    names: Mapping[str, str],
    verification: Mapping[str, t.Any],
    overlay: Mapping[str, t.Any],
    master: str,
    sources: Iterable[str] = (),
) -> dict[str, t.Any]:
    """Return rows, table and numbers."""
    hosts = [str(host) for host in hosts]
    facts, results = ({host: _result(hostvars[host], name) for host in hosts} for name in (FACTS, RESULTS))
    problems, warnings = (list(verification.get(name) or []) for name in ("problems", "warnings"))
    run = _findings.Run(
        hosts,
        master,
        facts,
        results,
        names,
        problems,
        warnings,
        overlay,
        verification.get("unnamed") or (),
        verification.get("advice") or (),
        verification.get("masters") or (),
        verification.get("central") or (),
    )
    rows = _findings.rows(run, _findings.site_command(map(str, sources)))
    errors = sum(row.severity == ERROR for row in rows)
    return {
        "rows": [row._asdict() for row in rows],
        "table": _findings.table(rows),
        "errors": errors,
        "warnings": len(rows) - errors,
        "versions": _findings.lines(_versions.table(_findings.versions(run))),
        "advisories": _findings.advisories(run),
        "summary": f"{count(errors, 'error')} and {count(len(rows) - errors, 'warning')}",
    }


def _result(variables: Mapping[str, t.Any], name: str) -> Mapping[str, t.Any]:
    """Return what a task has registered; empty where it has not run."""
    value = variables.get(name)
    return value if isinstance(value, Mapping) else {}


class FilterModule:
    """The interface of Ansible's filter plugins."""

    def filters(self) -> dict[str, t.Any]:
        """Return the filters by name."""
        return {"findings": findings}
