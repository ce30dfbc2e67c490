# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What stops a play that issues certificates, and what it has to say, in sentences. Private to the collection."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from ..module_utils._common import names
from ._authorities import CENTRAL, ROLES, Authority
from ._certificates import ENDS, FILES, LEAST, Cluster, Host, reason
from ._errors import count, show
from ._report import names_of
from ._x509 import Certificate, readable_all


def problems(cluster: Cluster, where: str) -> list[str]:
    """Return what stops the play, a sentence each.

    :param where: the folder of the authorities, for messages.
    """
    found = []
    for role in ROLES:
        authority = cluster.authorities[role]
        holders = [host for host in cluster.hosts if role in host.roles() and host.certificate(role) is not None]
        if not authority.certificates:
            traces = _traces(cluster, role)
            if traces and role not in cluster.rotated:
                found.append(_lost(role, traces, where))
            continue
        left = authority.certificates[0].validity.days_left(cluster.now)
        if left < LEAST and not cluster.is_replaced(role):
            found.append(
                f"the {role} CA {show(authority.certificates[0].name)} {'has expired' if left < 0 else 'ends today'}: "
                f"ovn_tls_rotate={role}_ca makes another one, or give one"
            )
        for host in holders:
            certificate = host.certificate(role)
            if certificate is not None and authority.of(certificate) is None:
                found.append(_foreign(host, role, certificate, authority, where))
        if not authority.signers:
            found += _without_key(cluster, role, where) if authority.of_folder else _unchecked(cluster, role)
    return found


def _traces(cluster: Cluster, role: str) -> dict[str, list[str]]:
    """Return host -> CAs of a role of which it has something: those of certificates; where no host has one, as after a
    run that was interrupted, those that hosts trust."""
    issuers: dict[str, list[str]] = {}
    trusted: dict[str, list[str]] = {}
    for host in cluster.hosts:
        found, certificate = host.found or {}, host.certificate(role)
        if role in found:
            issuers[host.name] = [show(certificate.issuer) if certificate else "a CA that can't be told"]
        central, southbound = (readable_all(str(found.get(name) or "")) for name in ("central_ca", "southbound_ca"))
        of_role = (
            central if role == CENTRAL else [one for one in southbound if one.pem not in {ca.pem for ca in central}]
        )
        if of_role:
            trusted[host.name] = [show(one.name) for one in of_role]
    return issuers or trusted


def _lost(role: str, traces: Mapping[str, Sequence[str]], where: str) -> str:
    issuers = sorted({issuer for some in traces.values() for issuer in some})
    return (
        f"{names_of(traces)}: there are certificates of {' and '.join(issuers)}, and "
        f"the controller has no {role} CA in {where}: give the folder that has it (ovn_tls_folder), and run it "
        f"as its owner, or give ovn_tls_{role}_ca_certificate and ovn_tls_{role}_ca_key; where it is lost for good, "
        f"-e ovn_tls_rotate={role}_ca makes another one"
    )


def _foreign(host: Host, role: str, certificate: Certificate, authority: Authority, where: str) -> str:
    known = " and ".join(show(one.name) for one in authority.certificates)
    place = f" in {where}" if authority.of_folder else ""
    return (
        f"{host.name}: {FILES[role]} is of the CA {show(certificate.issuer)}, and the {role} CA{place} is {known}: "
        f"give the right one; where the host comes from another cluster, remove {names.TLS_DIRECTORY} there"
    )


def _unchecked(cluster: Cluster, role: str) -> list[str]:
    """Return what is wrong with certificates that their owner makes himself."""
    return [
        f"{host.name}: the certificate in {FILES[role]} {text}, and the controller has no key of the {role} CA "
        f"to issue one: put key and certificate into that file, with the common name "
        f"{show(host.own_name(role))}, or give ovn_tls_{role}_ca_key"
        for host, text in _in_need(cluster, role)
    ]


def _without_key(cluster: Cluster, role: str, where: str) -> list[str]:
    """Return that hosts need certificates of an authority whose key is not in the folder; nothing where another
    authority is made."""
    hosts = [] if cluster.is_replaced(role) else [host.name for host, _text in _in_need(cluster, role)]
    if not hosts:
        return []
    certificates = count(len(hosts), "certificate")
    return [f"{names_of(hosts)}: {certificates} of the {role} CA must be issued, and {no_key(role, where)}"]


def no_key(role: str, where: str) -> str:
    """Return that the folder has the certificate of an authority alone, and what would be right."""
    return (
        f"{where} has {role}-ca.crt and not its key, {role}-ca.key: put the key there, and run it as its owner; where "
        f"it is lost for good, ovn.kubernetes.site -e ovn_tls_rotate={role}_ca makes another CA"
    )


def _in_need(cluster: Cluster, role: str) -> Iterator[tuple[Host, str]]:
    """Yield the hosts without a certificate that they can use, and why; not those whose certificate only ends soon."""
    for host in cluster.hosts:
        certificate = host.certificate(role)
        if host.found is None or role not in host.roles() or not host.own_name(role):
            continue
        if certificate is not None and cluster.authorities[role].of(certificate) is None:
            continue  # said already
        text = reason(cluster, host, role)
        due = certificate is not None and certificate.validity.is_due(cluster.now) and text.startswith(ENDS)
        if text and not due:
            yield host, text


def kept(cluster: Cluster) -> list[str]:
    """Return sentences about older authorities that stay, and which hosts keep them."""
    found = []
    for role in ROLES:
        authority = cluster.authorities[role]
        if len(authority.certificates) < 2:
            continue
        older = [host for one in authority.certificates[1:] for host in cluster.users(role, one)]
        lacking = cluster.lacking(role, authority.certificates[0])
        if lacking:
            found.append(
                f"the new {role} CA signs when {names_of(lacking)} "
                f"{'trust' if len(set(lacking)) > 1 else 'trusts'} it: run the site play when all can be reached, "
                "for all at once"
            )
        elif older:
            found.append(
                f"the older {role} CA stays until {names_of(older)} "
                f"{'have' if len(set(older)) > 1 else 'has'} a certificate of the new one, and the next run sees that"
            )
    return found
