# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a NIC had before it became the gateway's alone, as text in the host's Open_vSwitch database, for when it gets it
back."""

from __future__ import annotations

import json

from .._common.errors import HostError
from .._host.desired import SavedNic
from .serialize import from_json, to_json

PARTS = ("addresses", "routes", "offloads")


def as_text(nic: SavedNic) -> str:
    """Return the text that the row of the NIC's bridge keeps."""
    return json.dumps({part: to_json(getattr(nic, part)) for part in PARTS}, sort_keys=True)


def from_text(nic: str, text: str | None) -> SavedNic | None:
    """Return what the NIC had; None: nothing is kept.

    :raises HostError: somebody has changed the text.
    """
    if not text:
        return None
    try:
        return SavedNic(nic, **{part: from_json(plain) for part, plain in json.loads(text).items()})
    except (AttributeError, TypeError, ValueError):
        raise HostError(
            f"what is kept of {nic} can't be read: somebody has changed it in Open vSwitch's table Bridge"
        ) from None
