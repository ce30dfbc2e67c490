# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""TLS for ``ssl`` remotes (ovsdb(7), "Active and Passive Connections"), for every kind of connection."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING, TypedDict

from .._common.errors import DatabaseError
from .._common.trust import client_context

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any, Optional


class TlsFiles(TypedDict):
    """Paths of PEM files on this host."""

    private_key: str
    certificate: str
    ca_cert: str


if TYPE_CHECKING:
    MaybeTls = Optional[Mapping[str, Any]]

FILES = ("private_key", "certificate", "ca_cert")
REFUSED = (
    "no TLS connection: ca_cert must be of the authority that signed the server's certificate, "
    "and the server must know the authority of ours"
)
# The ovs library returns the errno of an ssl.SSLError, which is one of these numbers and means something else there.
SSL_ERROR_NUMBERS = frozenset(int(number) for number in ssl.SSLErrorNumber)


def checked_files(tls: MaybeTls) -> TlsFiles:
    """Return the paths of the files.

    :raises DatabaseError: one is not given, or can't be read.
    """
    given = tls or {}
    missing = [key for key in FILES if not given.get(key)]
    if missing:
        raise DatabaseError(f"an ssl remote needs private_key, certificate and ca_cert: give {' and '.join(missing)}")
    files = TlsFiles(private_key=given["private_key"], certificate=given["certificate"], ca_cert=given["ca_cert"])
    for key in FILES:
        path = given[key]
        try:
            with open(path, "rb"):
                pass
        except OSError as exc:
            raise DatabaseError(
                f"{key} {path} can't be read ({exc.strerror}): give the path of a PEM file on this host"
            ) from None
    return files


def tls_context(tls: MaybeTls) -> ssl.SSLContext:
    """Return the context with which both ends prove that the cluster's CA signed their certificates.

    Host names are not checked: OVN's certificates name chassis (ovs-pki(8)).

    :param tls: as in :class:`TlsFiles`.
    :raises DatabaseError: a file is not given, can't be read, or is not a PEM file of the right kind.
    """
    files = checked_files(tls)
    try:
        context = client_context(files["ca_cert"])
        context.check_hostname = False
        # With a password given the library does not ask for one at the terminal.
        context.load_cert_chain(files["certificate"], files["private_key"], password="")
    except (OSError, ValueError) as exc:  # SSLError is an OSError
        raise DatabaseError(
            f"private_key {files['private_key']}, certificate {files['certificate']} and ca_cert {files['ca_cert']} "
            f"can't be used ({getattr(exc, 'reason', None) or exc}): they must be PEM files, "
            "the key without a password and that of the certificate"
        ) from None
    return context
