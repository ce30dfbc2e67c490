# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The wire format of steps and records: what is to be undone later has to outlive the process that did it.

Journals, the files of moved NICs and the saved NICs in OVSDB hold values of this format. They outlive updates of the
collection, and an update may be rolled back while a NIC is moved. So the names in them are those of
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
from .._netlink.records import (
    KernelAddress,
    KernelLink,
    KernelNeighbour,
    KernelRoute,
    KernelRule,
    LinkOptions,
    Nexthop,
)
from .desired import File
from .steps.files import FileStep, SysctlStep
from .steps.links import DropStep, LinkStep, OffloadStep, OptionsStep
from .steps.moves import MoveStep
from .steps.routes import AddressStep, NeighbourStep, RouteStep, RuleStep

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

NAME = "is"
BYTES = "bytes"


@dataclass(frozen=True)
class WireType:
    """A record of the wire format.

    :ivar python_type: its dataclass.
    :ivar renamed: name of a field in the class to its name in the format, where they differ.
    :ivar added: fields that the first version did not have. They are left out where they have their default, so that
        it reads the rest.
    """

    python_type: type[Any]
    renamed: Mapping[str, str] = field(default_factory=dict)
    added: frozenset[str] = frozenset()

    def fields_of(self, value: Any) -> Iterator[str]:
        """Yield the names of the fields that are written."""
        for one in fields(value):
            if one.name not in self.added or getattr(value, one.name) != one.default:
                yield one.name


# Name in the format -> class. Never change a name on the left, nor one in ``renamed`` on the right.
HOST_TYPES: dict[str, WireType] = {
    "AddressStep": WireType(AddressStep),
    "DropStep": WireType(DropStep),
    "File": WireType(File),
    "FileStep": WireType(FileStep, {"desired": "wanted", "current": "found"}),
    "FoundAddress": WireType(KernelAddress, added=frozenset({"protocol"})),
    "FoundFile": WireType(FileContent),
    "FoundLink": WireType(KernelLink, {"no_arp": "quiet"}),
    "FoundNeighbour": WireType(KernelNeighbour),
    "FoundRoute": WireType(KernelRoute, {"source_prefix": "origin", "nexthop_id": "nexthop_object"}),
    "FoundRule": WireType(KernelRule),
    "LinkStep": WireType(LinkStep, {"current": "found"}),
    "LinkOptions": WireType(LinkOptions),
    "MoveStep": WireType(MoveStep, {"set_up": "raise_target"}, frozenset({"taken_neighbours", "given_neighbours"})),
    "NeighbourStep": WireType(NeighbourStep),
    "Nexthop": WireType(Nexthop),
    "OffloadStep": WireType(OffloadStep),
    "OptionsStep": WireType(OptionsStep),
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
            wire_type = self.types[name]
            content = {
                wire_type.renamed.get(one, one): self.to_json(getattr(value, one)) for one in wire_type.fields_of(value)
            }
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
