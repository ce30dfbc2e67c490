# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects the names of hosts: a host that is in other hands makes its request, and gets no certificate by it but the
one that was ordered."""

from __future__ import annotations

import authorities
import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from ansible_collections.ovn.kubernetes.plugins.filter.wrong_requests import ADVICE, wrong_requests

NAME = "6f1c2a0e-5d0b-4d5e-9a77-2f0f5d3c1b1e"
CHASSIS = {"name": NAME, "alternative_names": [], "path": "/chassis.pem"}
CENTRAL = {"name": "m1", "alternative_names": ["DNS:m1", "IP:10.0.0.1"], "path": "/central.pem"}
SAID = "its request for the certificate in /chassis.pem {}: " + ADVICE
RIGHTS = "asks for other rights than those of a client and server"
BASIC, USAGE, EXTENDED = x509.BasicConstraints, x509.KeyUsage, x509.ExtendedKeyUsage
CLIENT, SERVER = ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH


def refused(order, name, **more):
    return wrong_requests([{"csr": authorities.request(name, **more), "item": order}])


def test_what_is_ordered_is_signed():
    """Protects the usual run: what the role asks hosts for is what is signed."""
    assert refused(CHASSIS, NAME) == [] == refused(CENTRAL, "m1", alternative=["10.0.0.1", "m1"])


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({"name": "other"}, 'is for "CN=other", and not for "CN=' + NAME + '"'),
        # OVS ends the name at the first NUL.
        ({"name": "other\0" + NAME}, r'is for "CN=other\\00' + NAME + '", and not for "CN=' + NAME + '"'),
        ({"name": f"{NAME} "}, f'is for "CN={NAME}\\\\ ", and not for "CN={NAME}"'),
        ({"more": [(NameOID.COMMON_NAME, "other")]}, f'is for "CN=other,CN={NAME}", and not for "CN={NAME}"'),
        ({"more": [(NameOID.ORGANIZATION_NAME, "o")]}, f'is for "O=o,CN={NAME}", and not for "CN={NAME}"'),
        ({"alternative": ["10.0.0.1"]}, "is for other addresses or names than none"),
        ({"extensions": [(BASIC(True, None), True)]}, RIGHTS),
        ({"extensions": [(USAGE(True, *(False,) * 4, True, *(False,) * 3), True)]}, RIGHTS),
        ({"extensions": [(EXTENDED([CLIENT, SERVER, ExtendedKeyUsageOID.CODE_SIGNING]), False)]}, RIGHTS),
        ({"extensions": [(x509.OCSPNoCheck(), False)]}, RIGHTS),
    ],
)
def test_whatever_else_is_refused(given, text):
    """Protects each part of a certificate that a request could bring in."""
    assert refused(CHASSIS, **{"name": NAME, **given}) == [SAID.format(text)]


def test_names_of_a_master():
    """Protects servers' names: those that are ordered, all of them, and no other one."""
    text = "is for other addresses or names than DNS:m1, IP:10.0.0.1"
    for alternative in ([], ["m1"], ["m1", "10.0.0.1", "10.0.0.2"]):
        said = refused(CENTRAL, "m1", alternative=alternative)
        assert said == [f"its request for the certificate in /central.pem {text}: {ADVICE}"]


@pytest.mark.parametrize("text", ["", "-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n"])
def test_no_request(text):
    """Protects the message: what is no request is refused too."""
    assert wrong_requests([{"csr": text, "item": CHASSIS}]) == [SAID.format("can't be read")]
    assert wrong_requests([{"item": CHASSIS}]) == [SAID.format("can't be read")]
