# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Credentials in files that the environment names, as AWX gives them to a job. Private to the collection.

A secret in an extra variable would be in the job's arguments and in its artifacts; the path of a file is no secret.
What the inventory or an extra variable sets goes first, as everywhere in Ansible.
"""

from __future__ import annotations

import os
import typing as t
from collections.abc import Mapping

from ._errors import show_path
from ._templates import Undefined
from ._variables import VARIABLES, Variable


def credentials(environment: Mapping[str, str] | None = None) -> dict[str, t.Any]:
    """Return name -> value of the variables whose file the environment names, by default that of this process.

    The value is the file's absolute path where the variable takes one, else its text; :class:`Undefined`: it can't be
    read. A relative path begins in this process' folder, as everywhere in the environment.
    """
    environment = os.environ if environment is None else environment
    files = {variable: environment.get(variable.file_environment, "").strip() for variable in VARIABLES.values()}
    return {variable.name: _value(variable, path) for variable, path in files.items() if path}


def _value(variable: Variable, path: str) -> t.Any:
    file_path = os.path.abspath(os.path.expanduser(path))
    where = f"{variable.file_environment} names {show_path(path)}"
    try:
        with open(file_path, encoding="utf-8") as file:
            text = file.read()
    except OSError as error:
        return Undefined(f"{where}, which can't be read on the controller: {error.strerror}")
    except ValueError:  # bytes that are no text, or a path that can't be one
        return Undefined(f"{where}, which is not text")
    if variable.kind != "token":
        return file_path
    return text if text.strip() else Undefined(f"{where}, which is empty")
