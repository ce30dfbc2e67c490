# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The versions of all hosts: as a table, and where they differ. Private to the collection."""

from __future__ import annotations

import typing as t
from collections.abc import Iterable, Mapping

from ..module_utils._common.version import VERSION
from ..module_utils._verify.finding import SITE, WARNING, Finding
from ..module_utils._verify.versions import CENTRAL, COLLECTION, OPEN_VSWITCH, OVN

Versions = Mapping[str, Mapping[str, str]]  # host -> what runs there -> its version

HEADINGS = ("HOST", "COLLECTION", "OPEN VSWITCH", "OVN", "OVN CENTRAL")
CONTROLLER = "(controller)"
NONE = "-"
MIXED = "what only the newer one can is not there on all hosts, or fails"
UPGRADE = "upgrade the packages of the older ones, the master's last, and restart what they have upgraded"


def table(versions: Versions) -> list[tuple[str, ...]]:
    """Return the rows of the table, headings first; none where no host has told its versions."""
    rows = [
        (host, *(of_host.get(what, NONE) for what in (COLLECTION, OPEN_VSWITCH, OVN, CENTRAL)))
        for host, of_host in versions.items()
        if of_host
    ]
    return [HEADINGS, (CONTROLLER, VERSION, NONE, NONE, NONE), *rows] if rows else []


def differences(versions: Versions) -> Iterable[Finding]:
    """Yield each thing of which hosts have different versions; OVN central is OVN too."""
    subjects = {
        "the collection": ((COLLECTION,), SITE),
        "Open vSwitch": ((OPEN_VSWITCH,), UPGRADE),
        "OVN": ((OVN, CENTRAL), UPGRADE),
    }
    for subject, (parts, mend) in subjects.items():
        hosts: dict[str, dict[str, None]] = {}
        for host, of_host in versions.items():
            for version in filter(None, map(of_host.get, parts)):
                hosts.setdefault(version, {})[host] = None
        if len(hosts) > 1:
            named = "; ".join(f"{version} on {', '.join(on)}" for version, on in sorted(hosts.items()))
            yield Finding("versions", f"different versions of {subject}: {named}", MIXED, mend, WARNING)


def of_facts(facts: Mapping[str, Mapping[str, t.Any]]) -> Versions:
    """Return the versions that the hosts' facts have."""
    return {
        host: {str(what): str(version) for what, version in (of_host.get("versions") or {}).items()}
        for host, of_host in facts.items()
    }
