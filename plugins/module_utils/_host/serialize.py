# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The wire format of steps and records: what is to be undone later has to outlive the process that did it.

Journals, the files of moved NICs and the saved NICs in OVSDB hold values of this format. They outlive updates of the
collection, and an update may be taken back while a NIC is moved. So the names in them are those of
:data:`HOST_TYPES`, and not the names of classes and fields: a class may be renamed, the name in the format stays, and
versions before and after the change read each other's values.

A record is a JSON object with its fields and the key ``is``, which holds its name. Bytes are ``{"is": "bytes", "hex":
"..."}``. Tuples are arrays.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields, is_dataclass
from typing import TYPE_CHECKING, Any

from .._common.errors import HostError
from .._common.files import FileContent
from .._netlink.records import KernelAddress, KernelLink, KernelRoute, KernelRule, Nexthop
from .desired import File
from .steps.files import FileStep, SysctlStep
from .steps.links import DropStep, LinkStep, OffloadStep
from .steps.moves import MoveStep
from .steps.routes import AddressStep, RouteStep, RuleStep

if TYPE_CHECKING:
    from collections.abc import Mapping

NAME = "is"
BYTES = "bytes"


@dataclass(frozen=True)
class WireType:
    """A record of the wire format.

    :ivar python_type: its dataclass.
    :ivar renamed: name of a field in the class to its name in the format, where they differ.
    """

    python_type: type[Any]
    renamed: Mapping[str, str] = field(default_factory=dict)


# Name in the format -> class. Never change a name on the left, nor one in ``renamed`` on the right.
HOST_TYPES: dict[str, WireType] = {
    "AddressStep": WireType(AddressStep),
    "DropStep": WireType(DropStep),
    "File": WireType(File),
    "FileStep": WireType(FileStep, {"desired": "wanted", "current": "found"}),
    "FoundAddress": WireType(KernelAddress),
    "FoundFile": WireType(FileContent),
    "FoundLink": WireType(KernelLink, {"no_arp": "quiet"}),
    "FoundRoute": WireType(KernelRoute, {"source_prefix": "origin", "nexthop_id": "nexthop_object"}),
    "FoundRule": WireType(KernelRule),
    "LinkStep": WireType(LinkStep, {"current": "found"}),
    "MoveStep": WireType(MoveStep, {"set_up": "raise_target"}),
    "Nexthop": WireType(Nexthop),
    "OffloadStep": WireType(OffloadStep),
    "RouteStep": WireType(RouteStep),
    "RuleStep": WireType(RuleStep),
    "SysctlStep": WireType(SysctlStep, {"current": "found"}),
}


class WireFormat:
    """Converts records to JSON values and back.

    :param types: name in the format to its type.
    """

    def __init__(self, types: Mapping[str, WireType]) -> None:
        self.types = dict(types)
        self._names = {wire_type.python_type: name for name, wire_type in self.types.items()}

    def to_json(self, value: Any) -> Any:
        """Return a record, or a tuple of them, as values that JSON can hold."""
        if is_dataclass(value):
            name = self._names[type(value)]
            renamed = self.types[name].renamed
            content = {renamed.get(one.name, one.name): self.to_json(getattr(value, one.name)) for one in fields(value)}
            return {**content, NAME: name}
        if isinstance(value, bytes):
            return {NAME: BYTES, "hex": value.hex()}
        if isinstance(value, (tuple, list)):
            return [self.to_json(item) for item in value]
        if isinstance(value, int) and not isinstance(value, bool):
            return int(value)  # an enumeration's member is its number
        return value

    def from_json(self, value: Any) -> Any:
        """Return the record that :meth:`to_json` converted. Arrays become tuples.

        :raises HostError: the format has no such record.
        """
        if isinstance(value, list):
            return tuple(self.from_json(item) for item in value)
        if not isinstance(value, dict):
            return value
        content = dict(value)
        name = content.pop(NAME, None)
        try:
            if name == BYTES:
                return bytes.fromhex(content["hex"])
            wire_type = self.types[name]
            own_names = {wire: own for own, wire in wire_type.renamed.items()}
            values = {own_names.get(key, key): self.from_json(value) for key, value in content.items()}
            return wire_type.python_type(**values)
        except (KeyError, TypeError, ValueError):
            raise HostError(
                f"a saved {name or 'value'} can't be read: another version of the collection wrote it, or it was edited"
            ) from None


HOST_FORMAT = WireFormat(HOST_TYPES)
