# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Certificates (RFC 5280) as the controller reads them, with the library that community.crypto needs there too. Private
to the collection."""

from __future__ import annotations

import functools
import ipaddress
import typing as t
from collections.abc import Iterable

from ..module_utils._common.certificates import Validity, texts
from ._errors import InventoryError, show

try:
    from cryptography import x509
    from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
except ImportError:
    x509 = None  # type: ignore[assignment]

MISSING = (
    "the Python library cryptography (42 or newer) is missing on the controller: install it next to ansible-core, as "
    "PyPI has it, or set ovn_tls to false"
)
RSA_BITS = 2048  # what OpenSSL's security level 2 takes, which distributions set: SSL_CTX_set_security_level(3)
CURVES = ("secp256r1", "secp384r1", "secp521r1")  # P-256, P-384 and P-521


class Certificate:
    """One certificate.

    :ivar pem: its text, in lines that every program reads.
    :ivar fingerprint: its SHA-256, which tells it from all others.
    """

    def __init__(self, pem: str) -> None:
        self._parsed = x509.load_pem_x509_certificate(pem.encode())
        self.pem = self._parsed.public_bytes(serialization.Encoding.PEM).decode()
        self.fingerprint = self._parsed.fingerprint(hashes.SHA256()).hex()

    @property
    def name(self) -> str:
        """The common name of its subject; empty where it has none."""
        return _common_name(self._parsed.subject)

    @property
    def issuer(self) -> str:
        """The common name of whoever has signed it."""
        return _common_name(self._parsed.issuer)

    @property
    def alternative_names(self) -> frozenset[str]:
        """The addresses and names for which a server may use it."""
        found = self._extension(x509.SubjectAlternativeName)
        if found is None:
            return frozenset()
        addresses = found.get_values_for_type(x509.IPAddress)
        return frozenset([*map(str, addresses), *found.get_values_for_type(x509.DNSName)])

    @property
    def validity(self) -> Validity:
        """From when until when it is valid."""
        return Validity(self._parsed.not_valid_before_utc.timestamp(), self._parsed.not_valid_after_utc.timestamp())

    @property
    def is_authority(self) -> bool:
        """Whether it is one of a CA (RFC 5280, 4.2.1.9)."""
        found = self._extension(x509.BasicConstraints)
        return found is not None and bool(found.ca)

    @property
    def may_sign(self) -> bool:
        """Whether its key may sign certificates: no keyUsage forbids nothing (RFC 5280, 4.2.1.3)."""
        found = self._extension(x509.KeyUsage)
        return found is None or bool(found.key_cert_sign)

    @property
    def weak_key(self) -> str:
        """What its key is, in words, where it is too weak, or one that not every host's OpenSSL takes; empty: it is
        neither (RFC 8446, 4.2.3, has the signatures of the others)."""
        try:
            key = self._parsed.public_key()
        except (UnsupportedAlgorithm, ValueError):
            return "a key of a kind that is not known here"
        if isinstance(key, rsa.RSAPublicKey):
            return "" if key.key_size >= RSA_BITS else f"an RSA key of {key.key_size} bits"
        if isinstance(key, ec.EllipticCurvePublicKey):
            return "" if key.curve.name in CURVES else f"a key on the curve {key.curve.name}"
        if isinstance(key, (ed25519.Ed25519PublicKey, ed448.Ed448PublicKey)):
            return ""
        return f"a key of the kind {type(key).__name__.replace('PublicKey', '').lstrip('_')}"

    @property
    def public_key(self) -> bytes:
        """Its public key in DER."""
        return _public(self._parsed)

    def is_of(self, authority: Certificate) -> bool:
        """Return whether an authority has signed it."""
        return _is_of(self._parsed, authority._parsed)

    def _extension(self, kind: t.Any) -> t.Any:
        try:
            return self._parsed.extensions.get_extension_for_class(kind).value
        except x509.ExtensionNotFound:
            return None


def require_library() -> None:
    """Refuse a controller without the library.

    :raises InventoryError: it is missing, or too old.
    """
    if x509 is None or not hasattr(x509.Certificate, "not_valid_after_utc"):
        raise InventoryError(MISSING)


@functools.lru_cache(maxsize=4096)
def _is_of(certificate: t.Any, authority: t.Any) -> bool:
    try:
        certificate.verify_directly_issued_by(authority)
    except (InvalidSignature, UnsupportedAlgorithm, TypeError, ValueError):
        return False
    return True


@functools.lru_cache(maxsize=4096)  # most hosts have the same of most
def certificates(text: str) -> tuple[Certificate, ...]:
    """Return the certificates of a PEM text.

    :raises ValueError: one of them is damaged.
    """
    return tuple(Certificate(one) for one in texts(text))


def readable_all(text: str) -> tuple[Certificate, ...]:
    """Return the certificates of a text that a host has; none where one of them can't be read."""
    try:
        return certificates(text)
    except ValueError:
        return ()


def readable(text: str) -> Certificate | None:
    """Return the first certificate of a text that a host has; None where there is none that can be read."""
    return next(iter(readable_all(text)), None)


def request_problem(text: str, name: str, alternative_names: Iterable[str]) -> str:
    """Return why a request (PKCS #10, RFC 2986) is not for exactly the certificate of a host, in words; empty: it is.

    A host makes it, and whoever signs takes over what it says: the name is compared in DER, since OVS reads its bytes.

    :param alternative_names: as :func:`general_name` returns them.
    """
    try:
        found = x509.load_pem_x509_csr(text.encode())
        extensions = {one.value.oid: one.value for one in found.extensions}
    except (ValueError, x509.DuplicateExtension):
        return "can't be read"
    if found.subject.public_bytes() != x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]).public_bytes():
        return f"is for {show(found.subject.rfc4514_string())}, and not for {show(f'CN={name}')}"
    alternative = extensions.pop(x509.SubjectAlternativeName.oid, None)
    wanted = sorted(alternative_names)
    if sorted(map(_named, alternative or ())) != wanted:
        return f"is for other addresses or names than {', '.join(wanted) or 'none'}"
    extensions.pop(x509.SubjectKeyIdentifier.oid, None)
    if extensions != {one.oid: one for one in _usage()}:
        return "asks for other rights than those of a client and server"
    return ""


def _named(name: t.Any) -> str:
    kinds: dict[t.Any, str] = {x509.IPAddress: "IP", x509.DNSName: "DNS"}
    return f"{kinds.get(type(name), 'other')}:{name.value}"


def _usage() -> tuple[t.Any, ...]:
    """Return the rights in each certificate of a host, as the role asks for them."""
    no = dict.fromkeys(
        (
            "content_commitment",
            "key_encipherment",
            "data_encipherment",
            "key_agreement",
            "key_cert_sign",
            "crl_sign",
            "encipher_only",
            "decipher_only",
        ),
        False,
    )
    return (
        x509.BasicConstraints(ca=False, path_length=None),
        x509.KeyUsage(digital_signature=True, **no),
        x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH]),
    )


def public_key_of(key: str) -> bytes:
    """Return the public key, in DER, of a private key in PEM.

    :raises ValueError: it is none, or has a password.
    """
    try:
        return _public(serialization.load_pem_private_key(key.encode(), None))
    except TypeError:
        raise ValueError(
            "has a password: take it out (openssl pkey -in OLD -out NEW), and keep the key in a vault"
        ) from None
    except ValueError:
        raise ValueError("is no private key in PEM") from None


def _public(owner: t.Any) -> bytes:
    encoding, form = serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    return bytes(owner.public_key().public_bytes(encoding, form))


def _common_name(name: t.Any) -> str:
    return str(next((one.value for one in name.get_attributes_for_oid(NameOID.COMMON_NAME)), ""))


def general_name(text: str) -> str:
    """Return an address or a name as community.crypto takes a subjectAltName."""
    try:
        return f"IP:{ipaddress.ip_address(text)}"
    except ValueError:
        return f"DNS:{text}"
