# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The filter ovn.kubernetes.access_files."""

from __future__ import annotations

DOCUMENTATION = r"""
name: access_files
author:
  - ovn.kubernetes maintainers (!UNKNOWN)
version_added: 0.1.0
short_description: Files that tell the programs of a host how to reach the API server
description:
  - The settings of each program, and the certificate authority where one of them names it. They hold no secret.
positional: authority
options:
  _input:
    description: The C(programs) of a host, as P(ovn.kubernetes.settings#filter) returns them under C(kubernetes).
    type: list
    elements: dict
    required: true
  authority:
    description: PEM text of the API server's certificate authority.
    type: str
    required: true
"""

EXAMPLES = r"""
- name: Write how the API server is reached
  ovn.kubernetes.ovn_host:
    files: "{{ settings.kubernetes.programs | ovn.kubernetes.access_files(authority) }}"
"""

RETURN = r"""
_value:
  description: For each file C(path), C(content) and C(mode).
  type: list
  elements: dict
  sample:
    - path: /etc/ovn-kubernetes/kubernetes-watcher.json
      content: '{"server": "https://10.0.0.1:6443"}'
      mode: "0644"
"""

import typing as t
from collections.abc import Iterable, Mapping

from ..plugin_utils import _programs


def access_files(programs: Iterable[Mapping[str, t.Any]], authority: str) -> list[dict[str, str]]:
    """Return the files."""
    return _programs.access_files(list(programs), authority)


class FilterModule:
    """The interface of Ansible's filter plugins."""

    def filters(self) -> dict[str, t.Any]:
        """Return the filters by name."""
        return {"access_files": access_files}
