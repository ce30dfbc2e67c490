# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The lookup ovn.kubernetes.runtime."""

from __future__ import annotations

DOCUMENTATION = r"""
name: runtime
short_description: The collection's library as one archive that Python runs
version_added: 0.1.0
description:
  - Packs the library of the modules into one archive. The programs on the hosts run the same code from this one file,
    which a copy replaces at once.
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

- name: Write the archive for hosts that Ansible does not reach
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
import typing as t
import zipfile

from ansible import constants
from ansible.plugins.lookup import LookupBase

LIBRARY = os.path.join(os.path.dirname(os.path.dirname(os.path.realpath(__file__))), "module_utils")
ROLES = os.path.join(os.path.dirname(os.path.dirname(LIBRARY)), "roles")
PACKAGE = "ovn_kubernetes"
SHEBANG = b"#!/usr/bin/python3 -I\n"
START = f"from {PACKAGE}._programs.start import main\n\nraise SystemExit(main())\n"


def archive() -> bytes:
    """Return the library, the units and the CNI plugin as one program: a zip archive with fixed order, times and
    modes."""
    files = {"__main__.py": START.encode(), **_library(), **_role_files()}
    content = io.BytesIO()
    content.write(SHEBANG)
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as packed:
        for name in sorted(files):
            packed.writestr(zipfile.ZipInfo(name), files[name], zipfile.ZIP_DEFLATED)
    return content.getvalue()


def _library() -> dict[str, bytes]:
    """Return path in the archive -> content of the modules, each folder with an empty ``__init__.py``."""
    files = {}
    for folder, _folders, names in os.walk(LIBRARY):
        if os.path.basename(folder) == "__pycache__":
            continue
        package = os.path.normpath(os.path.join(PACKAGE, os.path.relpath(folder, LIBRARY)))
        files[f"{package}/__init__.py"] = b""
        files.update({f"{package}/{name}": _read(folder, name) for name in names if name.endswith(".py")})
    return files


def _role_files() -> dict[str, bytes]:
    """Return path in the archive -> content of the units and the CNI plugin."""
    paths = sorted(glob.glob(os.path.join(ROLES, "*", "files", "ovn-k8s-*")))
    return {f"{PACKAGE}/files/{os.path.basename(path)}": _read(path) for path in paths}


def _read(*path: str) -> bytes:
    with open(os.path.join(*path), "rb") as source:
        return source.read()


class LookupModule(LookupBase):
    """Write the archive to Ansible's temporary folder, which only its user can write to, and return its path."""

    def run(self, terms: list[t.Any], variables: dict[str, t.Any] | None = None, **kwargs: t.Any) -> list[str]:
        """Return the path of the archive, as the only member of a list."""
        self.set_options(var_options=variables, direct=kwargs)
        handle, path = tempfile.mkstemp(suffix=".pyz", dir=constants.DEFAULT_LOCAL_TMP)
        with os.fdopen(handle, "wb") as target:
            target.write(archive())
        return [path]
