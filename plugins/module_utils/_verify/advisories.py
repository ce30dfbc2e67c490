# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which public advisories the packages of this host have, by the versions of its distribution.

Distributions mend their packages without a new upstream version, so what a daemon says of itself tells nothing. What is
known comes from the controller; the host's own package manager compares versions, by its own rules.
"""

from __future__ import annotations

import os
import re
from functools import cmp_to_key
from typing import TYPE_CHECKING

from .._host.packages import versions

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from .._host.units import Run

    Compare = Callable[[str, str], int]

OS_RELEASE = ("/etc/os-release", "/usr/lib/os-release")  # os-release(5), the first that is there
DPKG = "/usr/bin/dpkg"
FIXED, UNFIXED, NOT_AFFECTED = "fixed", "unfixed", "not affected"


def read_advisories(
    known: Mapping[str, Any], run: Run, os_release: tuple[str, ...] = OS_RELEASE, kernel: str = ""
) -> dict[str, Any]:
    """Return the host's release, and each of its packages that there are advisories of.

    A package has its ``version`` (empty: none of the distribution's is known), ``upgrade`` with the ids of what version
    ``to`` is without, ``unfixed`` with those that the newest known package has, and ``unknown``.

    :param known: what the controller has, as ``advisories.yml`` there.
    :param run: runs a command.
    :param kernel: the kernel that runs; empty: this one's.
    """
    release = read_release(os_release)
    kernel = kernel or os.uname().release
    names = {
        source: [name.replace("{kernel}", kernel) for name in binaries]
        for source, binaries in known["packages"].items()
    }
    found = versions([name for binaries in names.values() for name in binaries], run)
    judge = _Judge(run)
    packages = []
    for source, binaries in names.items():
        version = next((found[name] for name in binaries if name in found), "")
        if version or source == "linux":  # a kernel always runs, whoever has packed it
            series = (known["releases"].get(release) or {}).get(source)
            own = version if series and re.fullmatch(series, version) else ""
            of_package = {
                one["id"]: one["releases"].get(release) for one in known["advisories"] if one["package"] == source
            }
            packages.append({"package": source, "version": version or kernel, **judge.package(own, of_package)})
    return {"release": release, "packages": packages}


def read_release(paths: tuple[str, ...] = OS_RELEASE) -> str:
    """Return the distribution's release, such as ``debian bookworm`` or ``rocky 9``; empty where it says none."""
    for path in paths:
        try:
            with open(path, encoding="utf-8", errors="replace") as file:
                said = dict(line.strip().split("=", 1) for line in file if "=" in line)
        except OSError:
            continue
        values = {key: value.strip("\"'") for key, value in said.items()}
        name = values.get("VERSION_CODENAME") or values.get("VERSION_ID", "").split(".")[0]
        return f"{values.get('ID', '')} {name}".strip()
    return ""


class _Judge:
    """Compares versions as dpkg does, each pair once."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._older: dict[tuple[str, str], bool] = {}

    def package(self, version: str, advisories: Mapping[str, Any]) -> dict[str, Any]:
        """Return what is known of a package.

        :param version: as its distribution has it; empty: it is not the release's own.
        :param advisories: id -> what the release has done about it; None: not known.
        """
        upgrade: dict[str, str] = {}
        unfixed, unknown = [], []
        for one, known in advisories.items():
            state = self._state(version, known)
            if state == FIXED:
                upgrade[one] = known[FIXED]
            elif state == UNFIXED:
                unfixed.append(one)
            elif state != NOT_AFFECTED:
                unknown.append(one)
        to = max(upgrade.values(), key=cmp_to_key(self._compare), default="")
        return {"upgrade": list(upgrade), "to": to, "unfixed": unfixed, "unknown": unknown}

    def _state(self, version: str, known: Any) -> str:
        """Return :data:`FIXED` (an upgrade is), :data:`UNFIXED` or :data:`NOT_AFFECTED`; empty: that is not known."""
        if not version or not known or not os.path.exists(DPKG):
            return ""
        if known == NOT_AFFECTED:
            return NOT_AFFECTED
        if FIXED in known:
            return FIXED if self._is_older(version, known[FIXED]) else NOT_AFFECTED
        return "" if self._is_older(known[UNFIXED], version) else UNFIXED

    def _compare(self, left: str, right: str) -> int:
        return self._is_older(right, left) - self._is_older(left, right)

    def _is_older(self, one: str, other: str) -> bool:
        """Return whether a version is older than another one (deb-version(7))."""
        pair = (one, other)
        if pair not in self._older:
            self._older[pair] = self._run([DPKG, "--compare-versions", one, "lt", other])[0] == 0
        return self._older[pair]
