# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The log of ACLs (ovn-nb(5), ACL: log, name, severity, meter): what an object's annotation asks for, and the names by
which log lines call a rule.

The annotation is ovn-kubernetes': ``k8s.ovn.org/acl-logging: '{"deny": "alert", "allow": "notice"}'``. Of its text
only a severity that OVN has gets into a row. Whoever has ACLs of another kind asks :func:`columns` as well:

    columns(acl_name("EF", (namespace,), number), logging, action), needs=needs(logging, action)

All ACLs share one meter with a fair rate: each has the whole rate for itself (ovn-nb(5), Meter: fair).
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from .._common import names
from .._kube import reasons
from .._kube.reference import Reference
from .._ovsdb.rows import Need, Owner, Row
from .selectors import Unreadable

if TYPE_CHECKING:
    from .._kube.told import Told
    from .._ovsdb.plan import Change
    from .._reconcile.engine import Engine
    from .model import Namespace

METER_KIND = "ACLLogging"
METER, BAND = "Meter", "Meter_Band"
RATE = 20  # log lines a second of each ACL, ovn-kubernetes' default
SEVERITIES = ("alert", "warning", "notice", "info", "debug")  # ovn-nb(5), ACL: severity
VERDICTS = ("deny", "allow", "pass")
LONGEST_ANNOTATION = 1024  # characters that are read
LONGEST_NAME = 63  # characters (ovn-nb.ovsschema, ACL: name)
# ovn-controller writes the name between quotation marks, and separates what follows with commas.
UNSAFE = re.compile(r"[^A-Za-z0-9._:-]")
OWNER = Owner(METER_KIND, names.ACL_METER)


class AclLogging(NamedTuple):
    """With which severity ACLs are logged, by what they do; empty: not at all."""

    deny: str = ""
    allow: str = ""
    passes: str = ""

    @classmethod
    def parse(cls, text: object) -> AclLogging:
        """Return what an annotation asks for; None asks for nothing.

        :raises Unreadable: it is not as described above. The message has nothing of it.
        """
        if text is None or text == "":
            return cls()
        if not isinstance(text, str) or len(text) > LONGEST_ANNOTATION:
            raise Unreadable(f"it is longer than {LONGEST_ANNOTATION} characters")
        try:
            found = json.loads(text)
        except (ValueError, RecursionError):
            found = None
        if not isinstance(found, dict):
            raise Unreadable('it is no JSON object: write {"deny": "alert", "allow": "notice"}')
        if any(key not in VERDICTS for key in found):
            raise Unreadable(f"it has another key than {', '.join(VERDICTS)}")
        if any(value not in ("", *SEVERITIES) for value in found.values()):
            raise Unreadable(f"it has another severity than {', '.join(SEVERITIES)}")
        return cls(*(found.get(key, "") for key in VERDICTS))

    def severity(self, action: str) -> str:
        """Return with which severity an ACL with this action is logged; empty: it is not."""
        if action in ("drop", "reject"):
            return self.deny
        return self.passes if action == "pass" else self.allow


OFF = AclLogging()


def of_object(meta: Mapping[str, Any]) -> tuple[AclLogging, str]:
    """Return what the annotation of an object asks for, and why it asks for nothing where it can't be read.

    :param meta: the object's ``metadata``.
    """
    found = meta.get("annotations")
    try:
        return AclLogging.parse((found if isinstance(found, dict) else {}).get(names.ACL_LOGGING_ANNOTATION)), ""
    except Unreadable as exc:
        return OFF, str(exc)


def refused(fault: str) -> str:
    """Return what is said of an annotation that can't be read; empty: it can."""
    return f"annotation {names.ACL_LOGGING_ANNOTATION} asks for nothing: {fault}" if fault else ""


def acl_name(kind: str, about: Sequence[str], *tail: str | int) -> str:
    """Return the name of an ACL, ``KIND:ABOUT:TAIL``, which log lines have. It is no longer than OVN's column takes.

    :param kind: what owns it, for example ``NP``; :param about: the owner's namespace and name. Where they are too
        long, or have other characters than Kubernetes' names, their end is a hash of the whole.
    :param tail: which ACL of the owner's it is. Kind and tail are the caller's, never cut.
    """
    end = "".join(f":{one}" for one in tail)
    text = ":".join(about)
    room = LONGEST_NAME - len(kind) - 1 - len(end)
    if len(text) > room or UNSAFE.search(text):
        digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:12]
        text = f"{UNSAFE.sub('_', text)[: room - len(digest) - 1]}-{digest}"
    return f"{kind}:{text}{end}"


def columns(name: str, logging: AclLogging, action: str) -> dict[str, Any]:
    """Return the columns by which an ACL is logged, or not. Its name stays in either case."""
    severity = logging.severity(action)
    return {
        "name": (name,),
        "log": bool(severity),
        "severity": (severity,) if severity else (),
        "meter": (names.ACL_METER,) if severity else (),
    }


def needs(logging: AclLogging, action: str) -> tuple[Need, ...]:
    """Return what the row of an ACL needs to be logged: the meter. Without it OVN would log each packet."""
    return (Need(METER, OWNER),) if logging.severity(action) else ()


class MeterPlanner:
    """The planner of the meter, which is there from the first ACL on that is logged.

    :ivar engine: set by whoever makes the engine.
    """

    tables = (METER, BAND)
    engine: Engine

    @staticmethod
    def owner(name: str) -> Owner:
        """Return the owner of the meter."""
        return Owner(METER_KIND, name)

    @staticmethod
    def desired(name: str) -> list[Row]:
        """Return the meter and its rate."""
        rate = {"action": "drop", "rate": RATE, "burst_size": 0}
        return [
            Row(METER, OWNER, "meter", name, columns={"unit": "pktps", "fair": (True,)}, kind="known"),
            Row(BAND, OWNER, "rate", parent=name, columns=rate),
        ]

    def done(self, name: str, changes: Sequence[Change]) -> None:
        """Do nothing."""

    def failed(self, name: str, reason: str) -> None:
        """Do nothing: the log has it, and what needs the meter waits."""


class NamespaceLogging:
    """What the annotations of namespaces ask for.

    :param namespaces: name -> namespace, the informer's store.

    :ivar followers: called with the name of a namespace that asks for something else now: whoever has ACLs of its.
    """

    def __init__(self, namespaces: Mapping[str, Namespace], told: Told) -> None:
        self._namespaces = namespaces
        self._told = told
        self.followers: list[Callable[[str], object]] = []
        self._policies: dict[str, set[str]] = {}  # namespace -> keys of its policies

    def policy_changed(self, key: str, is_there: bool) -> None:
        """Take in that a policy is there, or is not.

        :param key: ``namespace/name``.
        """
        namespace = key.partition("/")[0]
        policies = self._policies.setdefault(namespace, set())
        policies.add(key) if is_there else policies.discard(key)
        if not policies:
            del self._policies[namespace]

    def policies_of(self, namespace: str) -> Collection[str]:
        """Return the keys of the policies of a namespace."""
        return self._policies.get(namespace, ())

    def changed(self, name: str, old: Namespace | None, new: Namespace | None) -> None:
        """Take in a change of a namespace."""
        if (OFF if old is None else old.logging) != (OFF if new is None else new.logging):
            for follower in self.followers:
                follower(name)

    def of(self, namespace: str) -> AclLogging:
        """Return what a namespace asks for."""
        found = self._namespaces.get(namespace)
        return found.logging if found is not None else OFF

    def tell(self, name: str) -> None:
        """Say what of a namespace's annotation is refused."""
        found, key = self._namespaces.get(name), f"namespace {name}"
        if found is None:
            self._told.forget(key)
            return
        about = Reference("Namespace", "", name, found.uid)
        self._told.tell(key, about, reasons.ACL_LOGGING_REFUSED, refused(found.fault))
