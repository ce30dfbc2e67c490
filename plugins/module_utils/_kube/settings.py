# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How to reach the API server: ``/etc/ovn-kubernetes/kubernetes-watcher.json`` and ``kubernetes-node.json``.

The file has ``{"server": "https://host:6443", "ca_file": path or null, "token_file": path or null}``. The token is in a
file of its own, so that no command line and no log has it, and so that it can be renewed while the program runs.

A node's server has a token whose only right is to act as its node, so that the API server returns only that node's
pods. Its file has also
``"user": "system:node:NAME", "group": "system:nodes"``. The watcher's has also ``"service_subnets": [...]``, and
``"host_addresses": {address: node}`` where masters are no nodes; a node's has there gateways'
addresses, and those of the routers behind them. Both may have ``"external_ip_networks": [...]``.
"""

from __future__ import annotations

import json
import urllib.parse
from collections.abc import Mapping
from dataclasses import dataclass, field, fields

from .._common.errors import KubernetesError

# Instead of a node: a router outside has the address. No node has such a name (RFC 1123), and programs of earlier
# releases, which refuse a file with a key that they don't know, take it for one.
ROUTER = "*"


@dataclass(frozen=True)
class Settings:
    """How to reach the API server.

    :ivar server: its URL, or those of several that have the same objects, with commas between them.
    :ivar ca_file: certificates of the authorities that sign the server's; None: those that the host trusts.
    :ivar token_file: the bearer token; read again when the file changes. None: no token.
    :ivar user: the user to act as (``Impersonate-User``); None: the token's own.
    :ivar group: the group to act as (``Impersonate-Group``).
    :ivar certificate_file: a client certificate, instead of a token.
    :ivar key_file: its private key.
    :ivar service_subnets: the API server's service networks, for the watcher.
    :ivar external_ip_networks: the networks in which services may name hosts' own addresses.
    :ivar host_addresses: address -> node, or an empty text, of hosts that need not be nodes of Kubernetes; or
        :data:`ROUTER`.
    """

    server: str
    ca_file: str | None = None
    token_file: str | None = None
    user: str | None = None
    group: str | None = None
    certificate_file: str | None = None
    key_file: str | None = None
    service_subnets: tuple[str, ...] = ()
    external_ip_networks: tuple[str, ...] = ()
    host_addresses: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        # The annotation is no guarantee: the value comes from a file.
        text = self.server if isinstance(self.server, str) else ""
        if "@" in text:  # all messages about the server show its URL
            raise KubernetesError("the API server's URL has a user: give the credential apart from it")
        for server in text.split(","):
            if not _is_url(server.strip()):
                shown = server if isinstance(self.server, str) else self.server
                raise KubernetesError(f"the API server {shown!r} is not a URL: write it like https://10.33.74.1:6443")
        if len({urllib.parse.urlsplit(server).scheme for server in self.servers}) > 1:
            raise KubernetesError("the API servers' URLs have https and http: write all of them as https://...")

    @property
    def servers(self) -> tuple[str, ...]:
        """The URL of each API server."""
        return tuple(server.strip().rstrip("/") for server in self.server.split(","))

    @classmethod
    def read(cls, path: str) -> Settings:
        """Return the settings in a file.

        :raises KubernetesError: the file can't be read, or is not as described above.
        """
        try:
            with open(path, encoding="utf-8") as file:
                content = json.load(file)
            known = [one.name for one in fields(cls)]
            unknown = sorted(set(content) - set(known))
            if unknown:
                raise KubernetesError(f"{path} has an unknown key {unknown[0]}: it may have {', '.join(known)}")
            return cls(**content)
        except OSError as exc:
            raise KubernetesError(f"{path} can't be read: {exc.strerror}") from None
        except (TypeError, ValueError):
            example = '{"server": "https://host:6443", "ca_file": ..., "token_file": ...}'
            raise KubernetesError(f"{path} is not as expected: write {example}") from None


def _is_url(text: str) -> bool:
    try:
        url = urllib.parse.urlsplit(text)
        return url.scheme in ("http", "https") and bool(url.hostname)
    except ValueError:  # brackets that can't be right
        return False
