# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The wire format of the journal, of the files of moved NICs and of saved NICs (:mod:`._host.serialize`)."""

from __future__ import annotations

from .._host.serialize import HOST_TYPES, WireFormat, WireType
from .managers.base import Profile
from .managers.resolved import LinkResolver
from .steps import Handover, HandoverStep, ResolverStep

# Name in the format -> class. Never change a name on the left.
NIC_FORMAT = WireFormat(
    {
        **HOST_TYPES,
        "FoundResolver": WireType(LinkResolver),
        "Handover": WireType(Handover, added=frozenset({"alone"})),
        "HandoverStep": WireType(HandoverStep, added=frozenset({"alone"})),
        "Profile": WireType(Profile),
        "ResolverStep": WireType(ResolverStep),
    }
)

to_json = NIC_FORMAT.to_json
from_json = NIC_FORMAT.from_json
