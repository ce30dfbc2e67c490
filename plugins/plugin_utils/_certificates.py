# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which certificates a run issues, and which authorities it makes or forgets: decided once for all hosts, from what
each of them has. Private to the collection.

An authority that is to be replaced is trusted beside the new one for as long as anybody may need it. All of this
follows from what is there, and from nothing that a run before has noted: a run that was interrupted, or that did not
reach every host, is finished by the next one.
"""

from __future__ import annotations

import typing as t
from collections.abc import Collection, Iterable, Mapping, Sequence

from ..module_utils._common import names
from ..module_utils._common.certificates import DAY
from ._authorities import CENTRAL, CHASSIS, KEYS, ROLES, Authority, Signer
from ._errors import count, show
from ._x509 import Certificate, general_name, readable, readable_all

Values = Mapping[str, t.Any]
LONGEST_NAME = 64  # characters of a common name, RFC 5280 (ub-common-name)
LEAST = 1  # days that an authority that signs must have left: the shortest certificate is for a day
BUNDLES = {names.CENTRAL_CA: "central_ca", names.SOUTHBOUND_CA: "southbound_ca"}  # path -> name of the fact
FILES = {CENTRAL: names.CENTRAL_PEM, CHASSIS: names.CHASSIS_PEM}
ENDS = "ends"
NEW_KEY = ".key.new"  # in place of .pem: of a key whose certificate is not there yet


class Host(t.NamedTuple):
    """A host of the overlay.

    :ivar identity: its system-id; empty: nobody knows it yet.
    :ivar node: its node name.
    :ivar alternative: addresses and names under which others reach a master.
    :ivar found: what it has, as :mod:`.._host.certificates` returns it; None: this run has not asked it.
    """

    name: str
    master: bool
    identity: str
    node: str
    alternative: frozenset[str]
    found: Values | None

    def own_name(self, role: str) -> str:
        """Return the name in its certificate."""
        return self.node if role == CENTRAL else self.identity

    def certificate(self, role: str) -> Certificate | None:
        """Return its certificate; None where it has none that can be read."""
        return readable(str(((self.found or {}).get(role) or {}).get("certificate") or ""))

    def roles(self) -> tuple[str, ...]:
        """Return which certificates it is to have."""
        return ROLES if self.master else (CHASSIS,)

    @property
    def has_any(self) -> bool:
        """Whether it has anything of TLS."""
        return any(key != "now" for key in self.found or {})


class Wanted(t.NamedTuple):
    """A certificate that is to be issued, and why, in words."""

    host: Host
    role: str
    reason: str
    signer: Signer


class Cluster(t.NamedTuple):
    """All hosts, and the authorities.

    :ivar now: the controller's clock, in seconds since the epoch.
    :ivar days: for how many days certificates are issued.
    :ivar written: hosts that trust what :meth:`bundles` says since this run has written it.
    :ivar rotated: ``keys``, and roles whose authority is to be made anew.
    """

    hosts: Sequence[Host]
    authorities: Mapping[str, Authority]
    now: float
    days: int
    written: Collection[str] = ()
    rotated: Collection[str] = ()

    def needed(self, role: str) -> list[Certificate]:
        """Return the authorities of a role that hosts must trust: the first, and each older one while a host has its
        certificate, or was not asked."""
        found = self.authorities[role].certificates
        return [one for number, one in enumerate(found) if number == 0 or self.users(role, one)]

    def users(self, role: str, authority: Certificate) -> list[str]:
        """Return the hosts that have, or may have, a certificate of this authority."""
        holders = [host for host in self.hosts if role in host.roles()]
        return [host.name for host in holders if host.found is None or _is_of(host.certificate(role), authority)]

    def bundles(self, host: Host) -> dict[str, str]:
        """Return what a host trusts: path -> text."""
        central = self.needed(CENTRAL)
        found = {names.CENTRAL_CA: _text(central)}
        if host.master:
            found[names.SOUTHBOUND_CA] = _text([*central, *self.needed(CHASSIS)])
        return found

    def lacking(self, role: str, authority: Certificate) -> list[str]:
        """Return the hosts that do not trust this authority yet and must, before it signs: those who check
        certificates of the role."""
        bundle = "central_ca" if role == CENTRAL else "southbound_ca"
        judges = [host for host in self.hosts if (role == CENTRAL or host.master) and host.name not in self.written]
        return [host.name for host in judges if not _trusts(host, bundle, authority)]

    def signer(self, role: str) -> Signer | None:
        """Return who signs for a role now: the first as soon as all who check it trust it, until then an older one,
        which they do; None: nobody can."""
        authority = self.authorities[role]
        first, *older = authority.certificates
        able = older if older and self.lacking(role, first) else authority.certificates
        valid = (one for one in able if one.validity.days_left(self.now) >= LEAST)
        return next(filter(None, (authority.signer(one.fingerprint) for one in valid)), None)

    def is_replaced(self, role: str) -> bool:
        """Return whether this run makes another authority: one whose older one is there is being replaced already."""
        authority = self.authorities[role]
        return role in self.rotated and authority.of_folder and len(authority.certificates) == 1


def _trusts(host: Host, bundle: str, authority: Certificate) -> bool:
    if host.found is None:
        return False
    if not host.has_any:
        return True  # it is new, and gets all before it connects to anybody
    trusted = readable_all(str(host.found.get(bundle) or ""))
    return authority.fingerprint in {one.fingerprint for one in trusted}


def _is_of(certificate: Certificate | None, authority: Certificate) -> bool:
    return certificate is not None and certificate.is_of(authority)


def _text(authorities: Iterable[Certificate]) -> str:
    return "".join(one.pem for one in authorities)


def reason(cluster: Cluster, host: Host, role: str) -> str:
    """Return why a host needs another certificate of a role, in words; empty: it has the right one.

    One that no authority of ours has signed is another matter: see the module _certificate_problems.
    """
    certificate = host.certificate(role)
    return fault(cluster, host, role) or ("" if certificate is None else _age(cluster, role, certificate))


def fault(cluster: Cluster, host: Host, role: str) -> str:
    """Return why a host has no certificate of a role that it can use, in words; empty: it has one."""
    found, certificate = (host.found or {}).get(role), host.certificate(role)
    if certificate is None:
        return "is missing" if found is None else "can't be read"
    if not (found or {}).get("fits"):
        return "does not fit its key"
    return _misfit(cluster, host, role, certificate)


def _misfit(cluster: Cluster, host: Host, role: str, certificate: Certificate) -> str:
    """Return why nobody can use a certificate, or not for this host."""
    if certificate.validity.end < cluster.now:
        return "has expired"
    if certificate.validity.begin > cluster.now:
        return "is not valid yet"
    if certificate.name != host.own_name(role):
        return f"is of {show(certificate.name)}, and not of {show(host.own_name(role))}"
    if role == CENTRAL and certificate.alternative_names != host.alternative:
        return "has other addresses or names than the host"
    return ""


def _age(cluster: Cluster, role: str, certificate: Certificate) -> str:
    """Return why it is time for another certificate."""
    if certificate.validity.is_due(cluster.now) and _longer(cluster, role, certificate):
        return f"{ENDS} in {count(int(certificate.validity.days_left(cluster.now)), 'day')}"
    if KEYS in cluster.rotated:
        return "gets a new key"
    signer, first = cluster.signer(role), cluster.authorities[role].certificates[0]
    if signer is not None and signer.certificate is first and not certificate.is_of(first):
        return "is of an older CA"
    return ""


def _longer(cluster: Cluster, role: str, certificate: Certificate) -> bool:
    """Return whether another certificate would be valid for longer: none outlives its authority."""
    signer = cluster.signer(role)
    end = signer.certificate.validity.end if signer else cluster.now + cluster.days * DAY
    return min(end, cluster.now + cluster.days * DAY) > certificate.validity.end + DAY


def wanted(cluster: Cluster, hosts: Iterable[Host]) -> list[Wanted]:
    """Return what is to be issued to these hosts."""
    found = []
    for host in hosts:
        for role in host.roles():
            signer = cluster.signer(role)
            text = reason(cluster, host, role) if host.found is not None and host.own_name(role) else ""
            if text and signer is not None:
                found.append(Wanted(host, role, text, signer))
    return found


def order(cluster: Cluster, one: Wanted) -> dict[str, t.Any]:
    """Return what the play needs to issue a certificate."""
    path = FILES[one.role]
    left = int(one.signer.certificate.validity.days_left(cluster.now))
    return {
        "role": one.role,
        "path": path,
        "key": path.replace(".pem", NEW_KEY),
        "name": one.host.own_name(one.role),
        "alternative_names": sorted(map(general_name, one.host.alternative)) if one.role == CENTRAL else [],
        "authority": one.signer.certificate.pem,
        "authority_key": one.signer.path,
        "days": min(cluster.days, left),
        "reason": one.reason,
    }


def changed_files(cluster: Cluster, host: Host) -> list[dict[str, t.Any]]:
    """Return the files that ovn_host writes where one of them differs: the folder, whom the host trusts, and the access
    to its keys."""
    found = host.found or {}
    bundles = cluster.bundles(host)
    exposed = any((found.get(role) or {}).get("exposed") for role in ROLES)
    if not exposed and all(found.get(BUNDLES[path]) == text for path, text in bundles.items()):
        return []
    files: list[dict[str, t.Any]] = [{"path": names.TLS_DIRECTORY, "mode": "0700", "folder": True}]
    files += [{"path": path, "content": text, "mode": "0644"} for path, text in bundles.items()]
    return [*files, *({"path": FILES[role], "mode": "0600"} for role in ROLES if role in found)]


def dropping(cluster: Cluster, host: Host) -> list[str]:
    """Return the databases of a master whose connections are ended, since one of them may have a certificate of an
    authority that leaves: the host loses it now, or the folder does, after a run that was interrupted in between."""
    bundles = cluster.bundles(host) if host.master and host.found is not None else {}
    lost = {path for path, text in bundles.items() if _loses(str((host.found or {}).get(BUNDLES[path]) or ""), text)}
    gone = {role for role in leaving(cluster) if cluster.authorities[role].of_folder} if bundles else set()
    found = ["southbound"] if lost or gone else []
    return [*found, "northbound"] if names.CENTRAL_CA in lost or CENTRAL in gone else found


def _loses(before: str, after: str) -> bool:
    """Return whether a bundle has an authority that it will not have."""
    # A server could not read a damaged one either.
    return not {one.fingerprint for one in readable_all(before)} <= {one.fingerprint for one in readable_all(after)}


def leaving(cluster: Cluster) -> dict[str, str]:
    """Return role -> text of its authorities without those that nobody needs any more, where there are such."""
    found = {}
    for role in ROLES:
        authority, needed = cluster.authorities[role], cluster.needed(role)
        if len(needed) < len(authority.certificates):
            found[role] = _text(needed)
    return found
