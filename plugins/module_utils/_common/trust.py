# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whom a TLS client of ours trusts."""

from __future__ import annotations

import ssl


def client_context(ca_file: str | None) -> ssl.SSLContext:
    """Return the settings of a client that takes certificates which these authorities have signed.

    From Python 3.13 on a certificate must also have extensions such as the authority's key identifier
    (``ssl.VERIFY_X509_STRICT``). Authorities made with openssl(1) or ovs-pki(8) may leave them out, and OVN, Open
    vSwitch and Kubernetes take such certificates, so that is not required here.

    :param ca_file: certificates of the authorities; None: those that the host trusts.
    :raises OSError: the file can't be read, or has no certificate (``ssl.SSLError``).
    """
    context = ssl.create_default_context(cafile=ca_file)
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    return context
