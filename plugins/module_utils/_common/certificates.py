# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Certificates in PEM files (RFC 7468), as far as the standard library alone can tell: their texts, until when they are
valid, and whether a key fits."""

from __future__ import annotations

import base64
import binascii
import calendar
import re
import ssl
import time
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----\s.*?\s-----END CERTIFICATE-----", re.DOTALL)
SEQUENCE, VERSION, UTC_TIME, GENERALIZED_TIME = 0x30, 0xA0, 0x17, 0x18  # tags of X.690
DAY = 86400  # seconds
# When verify complains and the site play renews: less than a third of the lifetime, or of this many days, is left.
PART, MOST_DAYS = 3, 30


class Validity(NamedTuple):
    """From when until when a certificate is valid, in seconds since the epoch."""

    begin: float
    end: float

    def days_left(self, now: float) -> float:
        """Return how many days it is valid from now on; negative: it is not any more."""
        return (self.end - now) / DAY

    def is_due(self, now: float) -> bool:
        """Return whether it is time for another one: less than a third of the lifetime, at most 30 days, is left."""
        return self.end - now < min((self.end - self.begin) / PART, MOST_DAYS * DAY)


def texts(pem: str) -> list[str]:
    """Return the certificates of a PEM file, each as PEM text that ends with a line end; nothing else of the file."""
    return [f"{one.group(0)}\n" for one in CERTIFICATE.finditer(pem)]


def validity(pem: str) -> Validity:
    """Return the validity of the first certificate of a PEM text (RFC 5280, 4.1).

    :raises ValueError: there is none, or it is damaged.
    """
    first = CERTIFICATE.search(pem)
    if first is None:
        raise ValueError("no certificate")
    try:
        body = base64.b64decode("".join(first.group(0).splitlines()[1:-1]), validate=False)
        fields = _members(_inside(_inside(body)))
        tag, _content = next(fields)  # the version, where there is one; else the serial number
        for _left_out in range(3 if tag == VERSION else 2):  # (serial number), algorithm, issuer
            next(fields)
        tag, content = next(fields)
        if tag != SEQUENCE:
            raise ValueError("no validity")
        begin, end = (_time(*one) for one in _members(content))
    except (binascii.Error, IndexError, StopIteration, ValueError):
        raise ValueError("a damaged certificate") from None
    return Validity(begin, end)


def fits(certificate: str, key: str) -> bool:
    """Return whether the key is that of the certificate, and both can be used.

    :param certificate, key: paths of PEM files; they may be the same.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        # With a password given the library does not ask for one at the terminal.
        context.load_cert_chain(certificate, key, password="")
    except (OSError, ValueError):  # SSLError is an OSError
        return False
    return True


def _members(content: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield tag and content of the members of a constructed value in DER (X.690, 8.1)."""
    place = 0
    while place < len(content):
        tag, length = content[place], content[place + 1]
        place += 2
        if length & 0x80:
            size = length & 0x7F
            length = int.from_bytes(content[place : place + size], "big")
            place += size
        if place + length > len(content):
            raise ValueError("it ends too early")
        yield tag, content[place : place + length]
        place += length


def _inside(content: bytes) -> bytes:
    """Return what is in the first member."""
    tag, inside = next(_members(content))
    if tag != SEQUENCE:
        raise ValueError("no sequence")
    return inside


def _time(tag: int, content: bytes) -> float:
    """Return a time, which is in UTC and ends with Z (RFC 5280, 4.1.2.5)."""
    text = content.decode("ascii")
    if tag == UTC_TIME:
        text = f"{'19' if text[:2] >= '50' else '20'}{text}"
    elif tag != GENERALIZED_TIME:
        raise ValueError("no time")
    return float(calendar.timegm(time.strptime(text, "%Y%m%d%H%M%SZ")))
