# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Imports from the archive as which Ansible sends a module, at half of their cost."""

from __future__ import annotations

import sys
import zipimport


class Importer(zipimport.zipimporter):
    """Imports from a ZIP archive, and compiles each module once.

    Python asks an importer for the file's name before it loads a module (importlib.util.spec_from_file_location), and
    zipimport compiles the module to answer.
    """

    def get_filename(self, fullname: str) -> str:
        """Return the path of a module, as zipimport does."""
        path = f"{self.archive}/{self.prefix}{fullname.rpartition('.')[2]}"
        return f"{path}/__init__.py" if self.is_package(fullname) else f"{path}.py"


def compile_once() -> None:
    """Let folders of the archive from which nothing was imported yet have this importer. Elsewhere nothing changes."""
    if isinstance(__loader__, zipimport.zipimporter):  # type: ignore[name-defined]
        sys.path_hooks.insert(0, Importer)  # type: ignore[arg-type]
