# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which packages this host has installed. Nothing is installed in here."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .units import Run

DPKG_QUERY, RPM = "/usr/bin/dpkg-query", "/usr/bin/rpm"


def installed(wanted: Sequence[str], run: Run) -> frozenset[str] | None:
    """Return those of the packages that are installed, or, with rpm, that another installed one provides.

    None: this host has no package manager that is known here.

    :param run: runs a command.
    """
    if not wanted:
        return frozenset()
    if os.path.exists(DPKG_QUERY):  # dpkg-query(1)
        _code, out, _err = run([DPKG_QUERY, "-W", "-f", "${Package} ${db:Status-Status}\\n", *wanted])
        return frozenset(line.split()[0] for line in out.splitlines() if line.endswith(" installed"))
    if os.path.exists(RPM):  # rpm(8), whose sentences are in the language of the one who has connected
        _code, out, err = run(["/usr/bin/env", "LC_ALL=C", RPM, "-q", "--whatprovides", *wanted])
        missing = {line.split()[-1] for line in (out + err).splitlines() if line.startswith("no package provides ")}
        return frozenset(wanted) - missing
    return None


def versions(wanted: Sequence[str], run: Run) -> dict[str, str]:
    """Return those of the packages that are installed -> their versions, as the package manager has them.

    :param run: runs a command.
    """
    if os.path.exists(DPKG_QUERY):
        command = [DPKG_QUERY, "-W", "-f", "${Package} ${Version} ${db:Status-Status}\\n"]
        lines = (line.split() for line in run([*command, *wanted])[1].splitlines())
        return {words[0]: words[1] for words in lines if words[2:] == ["installed"]}
    if os.path.exists(RPM):
        command = ["/usr/bin/env", "LC_ALL=C", RPM, "-q", "--qf", "%{NAME} %{VERSION}-%{RELEASE}\\n"]
        lines = (line.split() for line in run([*command, *wanted])[1].splitlines())
        return {words[0]: words[1] for words in lines if len(words) == 2}
    return {}
