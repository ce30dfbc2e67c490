# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a NIC had before it became the gateway's, as text in the database of the host, from where it gets it back."""

from __future__ import annotations

import json

from .._common.errors import HostError
from .._host.desired import SavedNic
from .serialize import from_json, to_json


def as_text(given):
    """As the row of the NIC's bridge keeps it."""
    return json.dumps(
        {part: to_json(getattr(given, part)) for part in ("addresses", "routes", "offloads")}, sort_keys=True
    )


def from_text(nic, text):
    """As it was; None where nothing is kept. :raises HostError: when somebody has changed the text."""
    if not text:
        return None
    try:
        return SavedNic(nic, **{part: from_json(plain) for part, plain in json.loads(text).items()})
    except (AttributeError, TypeError, ValueError):
        raise HostError(
            "what is kept of %s can't be read: somebody has changed it in Open vSwitch's table Bridge" % nic
        ) from None
