# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The check of what programs say of themselves. Their text is not trusted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import words
from .facts import NODE_SERVER, WATCHER
from .finding import ERROR, WARNING, Finding

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any

    from .facts import Expected, Passing

LONGEST = 500  # characters of a sentence
UNREPORTED = {
    NODE_SERVER: "pods without network are not named here",
    WATCHER: "what the overlay does not enforce is not named here",
}


def readiness(_expected: Expected, passing: Passing) -> Iterator[Finding]:
    """Yield programs that say that they are not ready, and what node server and watcher have found themselves."""
    for unit, text in passing.not_ready.items():
        causes, name = words.UNITS.get(unit, words.OTHER_UNIT), unit.split(".")[0]
        yield Finding(unit, f"{name} is not ready: {text}", causes, f"journalctl -u {name}")
    yield from map(_reported, passing.reported)
    for unit, reason in passing.unreported.items():
        name = unit.split(".")[0]
        text = f"what {name} has found can't be read: {line(reason)}"
        yield Finding(unit, text, UNREPORTED[unit], f"journalctl -u {name}")


def _reported(found: Mapping[str, Any]) -> Finding:
    """Return a finding of the node server, :class:`.._pods.cni.findings.Finding`, or of the watcher."""
    subject, wrong, causes, mend = (line(found.get(key, "")) for key in ("subject", "wrong", "causes", "mend"))
    severity = WARNING if found.get("severity") == WARNING else ERROR
    text = f"{subject}: {wrong}"
    return Finding(
        subject, text, causes or "pods of this host are affected", mend or "journalctl -u ovn-k8s-node", severity
    )


def line(text: object) -> str:
    """Return a program's text as one line that is not too long, without what moves a terminal's cursor."""
    printable = "".join(one if one.isprintable() else " " for one in str(text))
    return " ".join(printable.split())[:LONGEST]
