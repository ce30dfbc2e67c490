# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""By what a file on a host is compared with the controller's, without its content."""

from __future__ import annotations

import contextlib
import hashlib
import json


def digest(content: str) -> str:
    """Return a SHA-256 that is the same for texts that mean the same: objects of JSON are compared by their values.

    Versions of ansible-core before 2.19 write them in another form.
    """
    if content.startswith("{"):
        with contextlib.suppress(ValueError):
            content = json.dumps(json.loads(content), sort_keys=True)
    return hashlib.sha256(content.encode("utf-8", "surrogateescape")).hexdigest()
