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
  - Without terms, packs the library of the modules into one archive. The programs on the hosts run the same code
    from this one file, which a copy replaces at once.
  - The same library gives the same archive, byte for byte.
  - With terms, returns the text of files of the roles, such as units, wherever it is called.
author:
  - ovn.kubernetes maintainers (!UNKNOWN)
options:
  _terms:
    description: Names of files in the C(files) folders of the roles.
    type: list
    elements: str
  checksum:
    description: Return the archive's SHA-256, and write no archive.
    type: bool
    default: false
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

- name: Show a unit
  ansible.builtin.debug:
    msg: "{{ lookup('ovn.kubernetes.runtime', 'ovn-k8s-host.service') }}"
"""

RETURN = r"""
_raw:
  description: Path of the archive, on the controller; or its checksum; or the texts of the files.
  type: list
  elements: str
  sample: [/root/.ansible/tmp/ansible-local-1/ovn_kubernetes.pyz]
"""

import glob
import hashlib
import io
import os
import tempfile
import typing as t
import zipfile

from ansible import constants
from ansible.errors import AnsibleLookupError
from ansible.plugins.lookup import LookupBase

from ..module_utils._common.names import CNI_PLUGIN

LIBRARY = os.path.join(os.path.dirname(os.path.dirname(os.path.realpath(__file__))), "module_utils")
ROLES = os.path.join(os.path.dirname(os.path.dirname(LIBRARY)), "roles")
PACKAGE = "ovn_kubernetes"
SHEBANG = b"#!/usr/bin/python3 -I\n"
# Files that hosts run with an interpreter whose line ansible-test takes for a mistake: it is put before them here.
INTERPRETERS = {CNI_PLUGIN: b"#!/usr/bin/perl -w\n"}
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
    return {f"{PACKAGE}/files/{os.path.basename(path)}": _role_file(path) for path in paths}


def role_file(name: str) -> str:
    """Return the text of a role's file; :raises AnsibleLookupError: no role has one of that name."""
    paths = glob.glob(os.path.join(ROLES, "*", "files", glob.escape(os.path.basename(name))))
    if not paths:
        raise AnsibleLookupError(f"ovn.kubernetes.runtime: no role has a file {name}: name one below roles/*/files")
    return _role_file(paths[0]).decode()


def _role_file(path: str) -> bytes:
    return INTERPRETERS.get(os.path.basename(path), b"") + _read(path)


def _read(*path: str) -> bytes:
    with open(os.path.join(*path), "rb") as source:
        return source.read()


class LookupModule(LookupBase):
    """Return texts of files, or the archive's checksum, or the path of the archive that it writes."""

    def run(self, terms: list[t.Any], variables: dict[str, t.Any] | None = None, **kwargs: t.Any) -> list[str]:
        """Return the texts of the files; without terms the archive, in Ansible's temporary folder, which only its
        user can write to.
        """
        self.set_options(var_options=variables, direct=kwargs)
        if terms:
            return [role_file(str(term)) for term in terms]
        if kwargs.get("checksum"):
            return [hashlib.sha256(archive()).hexdigest()]
        handle, path = tempfile.mkstemp(suffix=".pyz", dir=constants.DEFAULT_LOCAL_TMP)
        with os.fdopen(handle, "wb") as target:
            target.write(archive())
        return [path]
