# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The filter ovn.kubernetes.token_files."""

from __future__ import annotations

DOCUMENTATION = r"""
name: token_files
author:
  - ovn.kubernetes maintainers (@ovn-kubernetes)
version_added: 0.1.0
short_description: Files with new tokens for the programs of a host
description:
  - A program without a new token keeps the file that it has. The result is a secret.
positional: tokens
options:
  _input:
    description: The C(programs) of a host, as P(ovn.kubernetes.settings#filter) returns them under C(kubernetes).
    type: list
    elements: dict
    required: true
  tokens:
    description: Service account to its new token.
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: Write new tokens
  ansible.builtin.copy:
    content: "{{ item.content }}"
    dest: "{{ item.dest }}"
    mode: "0600"
  loop: "{{ settings.kubernetes.programs | ovn.kubernetes.token_files(issued.tokens) }}"
  no_log: true
"""

RETURN = r"""
_value:
  description: For each file C(dest) and C(content).
  type: list
  elements: dict
"""

import typing as t
from collections.abc import Iterable, Mapping

from ..plugin_utils import _programs


def token_files(programs: Iterable[Mapping[str, t.Any]], tokens: Mapping[str, str]) -> list[dict[str, str]]:
    """Return the files."""
    return _programs.token_files(programs, tokens)


class FilterModule:
    """The interface of Ansible's filter plugins."""

    def filters(self) -> dict[str, t.Any]:
        """Return the filters by name."""
        return {"token_files": token_files}
