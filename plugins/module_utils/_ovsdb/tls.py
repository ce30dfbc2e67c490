# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How the two ends of an ``ssl`` remote prove who they are, and what goes wrong with it in words: the same for every kind of connection."""

from __future__ import annotations

import ssl

from .._common.errors import DatabaseError

PATHS = ("private_key", "certificate", "ca_cert")
REFUSED = "no TLS connection comes about: ca_cert must be of the authority that has signed the server's certificate, and the server must know that of ours"
ERRORS = frozenset(
    map(int, ssl.SSLErrorNumber)
)  # an SSLError has one of these for its errno, where they mean something else


def context(tls):
    """How a server proves itself by the cluster's CA, and we to it; OVN's certificates name chassis, not hosts.

    :param tls: the paths private_key, certificate and ca_cert, or None.
    :raises DatabaseError: in one sentence, when they are not there or can't be used.
    """
    paths = {key: (tls or {}).get(key) for key in PATHS}
    missing = [key for key in PATHS if not paths[key]]
    if missing:
        raise DatabaseError(
            "an ssl remote needs private_key, certificate and ca_cert: give {}".format(" and ".join(missing))
        )
    for key, path in paths.items():
        try:
            with open(path, "rb"):
                pass
        except OSError as exc:
            raise DatabaseError(
                f"{key} {path} can't be read ({exc.strerror}): give the path of a PEM file on this host"
            ) from None
    try:
        made = ssl.create_default_context(cafile=paths["ca_cert"])
        made.check_hostname = False
        made.load_cert_chain(
            paths["certificate"], paths["private_key"], password=""
        )  # one that needs a password would ask whoever is at the terminal
    except (OSError, ValueError) as exc:  # SSLError is an OSError
        raise DatabaseError(
            "private_key {}, certificate {} and ca_cert {} can't be used ({}): they must be PEM files, the key without a password and that "
            "of the certificate".format(*paths.values(), getattr(exc, "reason", None) or exc)
        ) from None
    return made
