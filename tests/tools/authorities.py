# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""CAs and certificates for tests, made by the library and not by what is tested."""

from __future__ import annotations

import datetime
import ipaddress
import typing

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID


class Pair(typing.NamedTuple):
    """A certificate and its key, in PEM."""

    certificate: str
    key: str

    @property
    def both(self):
        """Key and certificate as one text."""
        return self.key + self.certificate


def _text(key):
    form = serialization.PrivateFormat.PKCS8
    return key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()).decode()


def _digest(key):
    """The digest of a signature; keys of EdDSA have their own (RFC 8410)."""
    return None if isinstance(key, (ed25519.Ed25519PrivateKey, ed448.Ed448PrivateKey)) else hashes.SHA256()


def _subject(name):
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _builder(name, key, begin, end, issuer):
    now = datetime.datetime.now(datetime.timezone.utc)
    builder = x509.CertificateBuilder().subject_name(_subject(name)).issuer_name(issuer).public_key(key.public_key())
    builder = builder.serial_number(x509.random_serial_number())
    builder = builder.not_valid_before(now + datetime.timedelta(days=begin))
    return builder.not_valid_after(now + datetime.timedelta(days=end))


def _signer(by):
    """The name and the key of a CA."""
    found = x509.load_pem_x509_certificate(by.certificate.encode())
    return found.subject, serialization.load_pem_private_key(by.key.encode(), None)


def authority(name, begin=-1, end=3650, key=None, is_authority=True, by=None, may_sign=True):
    """A CA that signs itself, or that another one signs; its validity in days from now.

    :param may_sign: what keyUsage says; None: there is none.
    """
    key = ec.generate_private_key(ec.SECP256R1()) if key is None else key
    signer, signing_key = (_subject(name), key) if by is None else _signer(by)
    builder = _builder(name, key, begin, end, signer)
    builder = builder.add_extension(x509.BasicConstraints(is_authority, None), True)
    builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)
    if may_sign is not None:
        usage = (*(False,) * 5, may_sign, True, False, False)
        builder = builder.add_extension(x509.KeyUsage(*usage), True)
    made = builder.sign(signing_key, _digest(signing_key))
    return Pair(made.public_bytes(serialization.Encoding.PEM).decode(), _text(key))


def issue(by, name, alternative=(), begin=-1, end=730):
    """A certificate that a CA has signed, for addresses and names."""
    signer, signing_key = _signer(by)
    key = ec.generate_private_key(ec.SECP256R1())
    builder = _builder(name, key, begin, end, signer)
    builder = builder.add_extension(x509.BasicConstraints(False, None), True)
    usages = [ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH]
    builder = builder.add_extension(x509.ExtendedKeyUsage(usages), False)
    identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(signing_key.public_key())
    builder = builder.add_extension(identifier, False)
    if alternative:
        builder = builder.add_extension(x509.SubjectAlternativeName([_general(one) for one in alternative]), False)
    made = builder.sign(signing_key, _digest(signing_key))
    return Pair(made.public_bytes(serialization.Encoding.PEM).decode(), _text(key))


def request(name, alternative=(), more=(), extensions=()):
    """A host's request for a certificate, as the role has it made.

    :param more: further parts of the subject, each an identifier and a text.
    :param extensions: each with whether it is critical; they replace those of their kind.
    """
    parts = [(NameOID.COMMON_NAME, name), *more]
    subject = x509.Name([x509.NameAttribute(one, text, _validate=False) for one, text in parts])
    usages = [ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH]
    key = ec.generate_private_key(ec.SECP256R1())
    found = [(x509.BasicConstraints(False, None), True), (x509.KeyUsage(True, *(False,) * 8), True)]
    found += [(x509.ExtendedKeyUsage(usages), False)]
    found += [(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)]
    if alternative:
        found.append((x509.SubjectAlternativeName([_general(one) for one in alternative]), False))
    by_kind = {one.oid: (one, critical) for one, critical in [*found, *extensions]}
    builder = x509.CertificateSigningRequestBuilder().subject_name(subject)
    for one, critical in by_kind.values():
        builder = builder.add_extension(one, critical)
    made = builder.sign(key, hashes.SHA256())
    return made.public_bytes(serialization.Encoding.PEM).decode()


def _general(text):
    try:
        return x509.IPAddress(ipaddress.ip_address(text))
    except ValueError:
        return x509.DNSName(text)
