# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Where the API server is and how it is spoken to: ``/etc/ovn-kubernetes/kubernetes-watcher.json`` and ``kubernetes-node.json``.

``{"server": "https://host:6443", "ca_file": path or null, "token_file": path or null}``; the token lies in a file of its own,
so that it is in no command line and no log, and can be renewed beside a running program. A node's server holds a token whose one right is to
act as its node, so that the API server shows it that node's pods only: ``"user": "system:node:NAME", "group": "system:nodes"``.
The watcher's has ``"service_subnets": [...]`` beside it.
"""

from __future__ import annotations

import json
import urllib.parse
from dataclasses import dataclass, fields

from .._common.errors import KubernetesError


@dataclass(frozen=True)
class Settings:
    """The API server.

    :ivar server: its URL.
    :ivar ca_file: certificates that its own must be signed by; None: those that the host trusts.
    :ivar token_file: the bearer token; read again whenever the file changes. None: no token.
    :ivar user: :ivar group: whom to act as (impersonation); None: oneself.
    :ivar certificate_file: :ivar key_file: a client's certificate, in place of a token.
    :ivar service_subnets: networks that it takes the addresses of services from; for the watcher.
    """

    server: str
    ca_file: str | None = None
    token_file: str | None = None
    user: str | None = None
    group: str | None = None
    certificate_file: str | None = None
    key_file: str | None = None
    service_subnets: tuple = ()

    def __post_init__(self):
        url = urllib.parse.urlsplit(self.server) if isinstance(self.server, str) else None
        if url is None or url.scheme not in ("http", "https") or not url.hostname:
            raise KubernetesError(f"the API server {self.server!r} is not a URL: write it like https://10.33.74.1:6443")

    @classmethod
    def read(cls, path):
        """The settings in a file; :raises KubernetesError: in one sentence."""
        try:
            with open(path, encoding="utf-8") as file:
                content = json.load(file)
            known = [field.name for field in fields(cls)]
            unknown = sorted(set(content) - set(known))
            if unknown:
                raise KubernetesError(f"{path} has an unknown key {unknown[0]}: it may hold {', '.join(known)}")
            return cls(**content)
        except OSError as exc:
            raise KubernetesError(f"{path} can't be read: {exc.strerror}") from None
        except (TypeError, ValueError):
            raise KubernetesError(
                f"""{path} is not as expected: write {{"server": "https://host:6443", "ca_file": ..., "token_file": ...}}"""
            ) from None
