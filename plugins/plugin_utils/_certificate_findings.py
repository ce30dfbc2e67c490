# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What verify says of certificates: those that end soon, that nobody can use, that others can read, and CAs. Private to
the collection."""

from __future__ import annotations

from collections.abc import Iterator

from ..module_utils._verify.finding import ERROR, SITE, WARNING
from ._advice import Advice
from ._authorities import CENTRAL, ROLES, Wrong, folder
from ._certificate_plan import cluster
from ._certificate_problems import kept, problems
from ._certificates import BUNDLES, ENDS, FILES, Cluster, Host, reason
from ._errors import InventoryError, count, show
from ._inventory import Inventory

EVERYBODY = "(all)"  # instead of a host
CUT_OFF = {
    CENTRAL: "its databases and programs refuse each other, and all hosts refuse them",
    "chassis": "the Southbound database refuses it: its pods keep what they have, and new ones get no network",
}
SOON = "then connections are refused, one after another"


def findings(inventory: Inventory) -> tuple[list[str], list[Advice]]:
    """Return what stops a site run, as sentences, and what else is wrong with the certificates of the hosts whose facts
    are known, and with the CAs.

    What is wrong with variables, and with the folder of the CAs, is said by the validation.
    """
    if not inventory.hosts or not inventory.tls:
        return [], []
    try:
        found = cluster(inventory, {}, (), ())
    except (InventoryError, Wrong):
        return [], []
    said = [Advice(EVERYBODY, text, "connections are made as before", SITE, WARNING) for text in kept(found)]
    said += _of_authorities(found)
    for host in found.hosts:
        if host.found is not None:
            said += _of_host(found, host)
    return problems(found, folder(inventory)), said


def _of_authorities(found: Cluster) -> Iterator[Advice]:
    for role in ROLES:
        for one in found.authorities[role].certificates[:1]:
            if one.validity.is_due(found.now) and one.validity.end > found.now:
                text = f"the {role} CA {show(one.name)} {ENDS} in {_days(found, one.validity.end)}"
                mend = f"ovn.kubernetes.site -e ovn_tls_rotate={role}_ca, or give a new one"
                yield Advice(EVERYBODY, text, SOON, mend, ERROR)


def _of_host(found: Cluster, host: Host) -> Iterator[Advice]:
    for role in host.roles():
        certificate, path = host.certificate(role), FILES[role]
        authority = found.authorities[role]
        if ((host.found or {}).get(role) or {}).get("exposed"):
            causes = "whoever has the key is this host to the databases"
            mend = "ovn.kubernetes.site -e ovn_tls_rotate=keys, after a look who could read it"
            yield Advice(host.name, f"others than root can read {path}, or its folder", causes, mend, ERROR)
        left = -1.0 if certificate is None else certificate.validity.days_left(found.now)
        if certificate is not None and left >= 0 and certificate.validity.is_due(found.now):
            # Whether the site play can renew it or not.
            text = f"the certificate in {path} {ENDS} in {_days(found, certificate.validity.end)}"
            yield Advice(host.name, text, SOON, SITE if authority.signers else "put another one there", ERROR)
            continue
        if not authority.certificates or not host.own_name(role):
            continue  # said once for all, or there is none yet
        if certificate is not None and authority.of(certificate) is None:
            continue  # the same
        text = reason(found, host, role)
        if text and authority.signers:
            yield Advice(host.name, f"the certificate in {path} {text}", CUT_OFF[role], SITE, ERROR)
    known = all(found.authorities[role].certificates for role in ROLES)
    # Where only the access differs, that is said above.
    if known and any((host.found or {}).get(key) != text for key, text in _trusted(found, host)):
        text = "it does not trust exactly the CAs that it should"
        yield Advice(host.name, text, "it may refuse masters, or let in who must not be", SITE, ERROR)


def _trusted(found: Cluster, host: Host) -> Iterator[tuple[str, str]]:
    return ((BUNDLES[path], text) for path, text in found.bundles(host).items())


def _days(found: Cluster, end: float) -> str:
    return count(int((end - found.now) // 86400), "day")
