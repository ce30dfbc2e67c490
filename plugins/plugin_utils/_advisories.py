# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The public advisories that this collection knows, and what they say of all hosts. Private to the collection.

Hosts compare versions, by :mod:`..module_utils._verify.advisories`; texts stay here.
"""

from __future__ import annotations

import functools
import pathlib
import typing as t
from collections.abc import Iterable, Mapping

import yaml

from ..module_utils._verify.finding import WARNING, Finding

FILE = pathlib.Path(__file__).with_name("advisories.yml")
PACKAGE = "linux"  # of which only the one that was booted counts
SHOWN = 2  # bearings that a row has; more are counted
UNFIXED = "Without a mended package, as far as this collection knows"
UNKNOWN = "Not known whether they are mended"


@functools.lru_cache(maxsize=1)
def known() -> Mapping[str, t.Any]:
    """Return what the file says."""
    content: Mapping[str, t.Any] = yaml.safe_load(FILE.read_text(encoding="utf-8"))
    return content


def for_hosts() -> dict[str, t.Any]:
    """Return what hosts need of it to judge their packages: no text."""
    told = [{key: one[key] for key in ("id", "package", "releases")} for one in known()["advisories"]]
    return {"packages": known()["packages"], "releases": known()["releases"], "advisories": told}


def findings(facts: Mapping[str, Mapping[str, t.Any]]) -> Iterable[tuple[str, Finding]]:
    """Yield each package of a host whose distribution has a version without an advisory.

    :param facts: host to its facts, as ovn_verify returns them.
    """
    bearings = {one["id"]: str(one["bearing"]) for one in known()["advisories"]}
    for host, release, package in _packages(facts):
        ids = [one for one in package.get("upgrade") or [] if one in bearings]
        if ids:
            text = f"{package['package']} {package['version']} has public advisories: {', '.join(ids)}"
            causes = "; ".join(bearings[one] for one in ids[:SHOWN])
            if len(ids) > SHOWN:
                causes += f"; and {len(ids) - SHOWN} more"
            mend = f"upgrade {package['package']} to {release}'s {package['to']} or newer"
            if package["package"] == PACKAGE:
                mend += ", and boot it"
            yield host, Finding("advisories", text, causes, mend, WARNING)


def lines(facts: Mapping[str, Mapping[str, t.Any]]) -> list[str]:
    """Return what nobody can mend by an upgrade, or what is not known: advisories of a package, and the hosts."""
    said: list[str] = []
    for title, kind in ((UNFIXED, "unfixed"), (UNKNOWN, "unknown")):
        hosts: dict[str, list[str]] = {}
        for host, release, package in _packages(facts):
            ids = package.get(kind) or []
            if ids:
                text = f"{package['package']} {package['version']} ({release or 'unknown release'}): {', '.join(ids)}"
                hosts.setdefault(text, []).append(host)
        said += [f"{title}: {text} on {', '.join(on)}" for text, on in hosts.items()]
    return said


def _packages(facts: Mapping[str, Mapping[str, t.Any]]) -> Iterable[tuple[str, str, Mapping[str, t.Any]]]:
    """Yield host, its release and a package of it."""
    for host, of_host in facts.items():
        judged = of_host.get("advisories") or {}
        for package in judged.get("packages") or []:
            yield host, str(judged.get("release") or ""), package
