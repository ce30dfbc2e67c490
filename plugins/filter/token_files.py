# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The filter ovn.kubernetes.token_files."""

from __future__ import annotations

DOCUMENTATION = r"""
name: token_files
author:
  - ovn.kubernetes maintainers (!UNKNOWN)
version_added: 0.1.0
short_description: Where the programs of a host have their tokens
description:
  - Programs that use no token are left out.
positional: issued
options:
  _input:
    description: The C(programs) of a host, as P(ovn.kubernetes.settings#filter) returns them under C(kubernetes).
    type: list
    elements: dict
    required: true
  issued:
    description: Whether the play has the tokens issued.
    type: bool
    required: true
"""

EXAMPLES = r"""
- name: Keep tokens to root
  ovn.kubernetes.ovn_host:
    token_files: "{{ settings.kubernetes.programs | ovn.kubernetes.token_files(settings.kubernetes.accounts) }}"
"""

RETURN = r"""
_value:
  description: For each file C(account), C(path) and C(issued), as M(ovn.kubernetes.ovn_host) takes them.
  type: list
  elements: dict
  sample: [{account: ovn-k8s-watcher, path: /etc/ovn-kubernetes/kubernetes-watcher.token, issued: true}]
"""

import typing as t
from collections.abc import Iterable, Mapping

from ..plugin_utils import _programs


def token_files(programs: Iterable[Mapping[str, t.Any]], issued: bool) -> list[dict[str, t.Any]]:
    """Return the files."""
    return _programs.token_files(programs, issued)


class FilterModule:
    """The interface of Ansible's filter plugins."""

    def filters(self) -> dict[str, t.Any]:
        """Return the filters by name."""
        return {"token_files": token_files}
