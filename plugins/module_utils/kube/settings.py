# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Where the API server is and how it is spoken to: ``/etc/ovn-kubernetes/kubernetes.json``.

``{"server": "https://host:6443", "ca_file": path or null, "token_file": path or null}``; the token lies in a file of its own,
so that it is in no command line and no log, and can be renewed beside a running program.
"""

from __future__ import annotations

import json
import urllib.parse
from dataclasses import dataclass

from ..names import SETTINGS_DIRECTORY
from .errors import KubernetesError

FILE = SETTINGS_DIRECTORY + "/kubernetes.json"


@dataclass(frozen=True)
class Settings:
    """The API server.

    :ivar server: its URL.
    :ivar ca_file: certificates that its own must be signed by; None: those that the host trusts.
    :ivar token_file: the bearer token; read again whenever the file changes. None: no credential.
    """

    server: str
    ca_file: str | None = None
    token_file: str | None = None

    def __post_init__(self):
        url = urllib.parse.urlsplit(self.server) if isinstance(self.server, str) else None
        if url is None or url.scheme not in ("http", "https") or not url.hostname:
            raise KubernetesError(f"the API server {self.server!r} is not a URL: write it like https://10.33.74.1:6443")

    @classmethod
    def read(cls, path=FILE):
        """The settings in a file; :raises KubernetesError: in one sentence."""
        try:
            with open(path, encoding="utf-8") as file:
                content = json.load(file)
            unknown = sorted(set(content) - {"server", "ca_file", "token_file"})
            if unknown:
                raise KubernetesError(f"{path} has an unknown key {unknown[0]}: it holds server, ca_file and token_file")
            return cls(**content)
        except OSError as exc:
            raise KubernetesError(f"{path} can't be read: {exc.strerror}") from None
        except (TypeError, ValueError):
            raise KubernetesError(f"""{path} is not as expected: write {{"server": "https://host:6443", "ca_file": ..., "token_file": ...}}""") from None
