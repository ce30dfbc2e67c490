# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The connections below the API client: TLS, and keepalive of watches."""

from __future__ import annotations

import socket
import ssl
from typing import TYPE_CHECKING

from .._common.errors import KubernetesError
from .._common.trust import client_context

if TYPE_CHECKING:
    from typing import Any

    import aiohttp

    from .settings import Settings

# Keepalive of watches (tcp(7)). The API server sends nothing about objects that do not change, so only the kernel finds
# out that a path is dead: here within half a minute.
KEEPALIVE = (
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 15),  # seconds
    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 5),  # seconds
    (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3),
)


def tls_context(settings: Settings) -> ssl.SSLContext:
    """Return how the API server proves its identity, and we ours.

    :raises KubernetesError: the CA or the client certificate can't be used.
    """
    try:
        context = client_context(settings.ca_file)
    except (OSError, ssl.SSLError) as exc:
        raise KubernetesError(f"the CA in {settings.ca_file} can't be used: {exc}") from None
    if settings.certificate_file:
        try:
            context.load_cert_chain(settings.certificate_file, settings.key_file)
        except (OSError, ssl.SSLError) as exc:
            raise KubernetesError(
                f"the client certificate in {settings.certificate_file} can't be used: {exc}"
            ) from None
    return context


def set_keepalive(response: aiohttp.ClientResponse) -> None:
    """Let the kernel check whether the other end of the connection still exists."""
    transport = response.connection and response.connection.transport
    sock: Any = transport and transport.get_extra_info("socket")
    if sock is not None:
        for level, option, value in KEEPALIVE:
            sock.setsockopt(level, option, value)
