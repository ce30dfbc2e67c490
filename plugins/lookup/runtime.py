# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The programs that stay on the hosts, as one file."""

from __future__ import annotations

DOCUMENTATION = r"""
name: runtime
short_description: The collection's library as one archive that Python runs
version_added: 0.1.0
description:
  - Packs the library that the modules are made of into one archive, so that the programs on the hosts run the very same code, from one
    file that a copy replaces at once.
  - The same library gives the same archive, byte for byte.
author:
  - ovn.kubernetes maintainers (@ovn-kubernetes)
options: {}
"""

EXAMPLES = r"""
- name: Install the programs
  ansible.builtin.copy:
    src: "{{ lookup('ovn.kubernetes.runtime') }}"
    dest: /usr/local/lib/ovn_kubernetes.pyz
    mode: "0755"

- name: Make the archive for hosts that Ansible does not reach
  ansible.builtin.copy:
    src: "{{ lookup('ovn.kubernetes.runtime') }}"
    dest: ./ovn_kubernetes.pyz
    mode: "0755"
  delegate_to: localhost
"""

RETURN = r"""
_raw:
  description: Path of the archive, on the controller.
  type: list
  elements: path
"""

import glob
import io
import os
import tempfile
import zipfile

from ansible import constants
from ansible.plugins.lookup import LookupBase

LIBRARY = os.path.join(os.path.dirname(os.path.dirname(os.path.realpath(__file__))), "module_utils")
ROLES = os.path.join(os.path.dirname(os.path.dirname(LIBRARY)), "roles")
PACKAGE = "ovn_kubernetes"
SHEBANG = b"#!/usr/bin/python3 -I\n"
START = f"from {PACKAGE}._programs.start import main\n\nraise SystemExit(main())\n"


def archive():
    """The library, the units and the CNI plugin, as the bytes of a program: a zip with fixed order, times and modes."""
    files = {"__main__.py": START.encode()}
    for folder, _folders, names in os.walk(LIBRARY):
        inside = os.path.normpath(os.path.join(PACKAGE, os.path.relpath(folder, LIBRARY)))
        if os.path.basename(folder) == "__pycache__":
            continue
        files[inside + "/__init__.py"] = b""
        for name in names:
            if name.endswith(".py"):
                with open(os.path.join(folder, name), "rb") as source:
                    files[os.path.join(inside, name)] = source.read()
    for path in sorted(glob.glob(os.path.join(ROLES, "*", "files", "ovn-k8s-*"))):
        with open(path, "rb") as source:
            files[f"{PACKAGE}/files/{os.path.basename(path)}"] = source.read()
    out = io.BytesIO()
    out.write(SHEBANG)
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as packed:
        for name in sorted(files):
            packed.writestr(zipfile.ZipInfo(name), files[name], zipfile.ZIP_DEFLATED)
    return out.getvalue()


class LookupModule(LookupBase):
    """Writes the archive to Ansible's own temporary folder, which nobody else can write to, and gives its path."""

    def run(self, terms, variables=None, **kwargs):
        self.set_options(var_options=variables, direct=kwargs)
        content = archive()
        handle, path = tempfile.mkstemp(suffix=".pyz", dir=constants.DEFAULT_LOCAL_TMP)
        with os.fdopen(handle, "wb") as target:
            target.write(content)
        return [path]
