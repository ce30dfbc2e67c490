# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What was found, and steps, as plain JSON values and back: what is to be undone later must outlive the process that did it."""

from __future__ import annotations

from dataclasses import fields, is_dataclass

from .._common.errors import HostError
from .._common.files import FileContent
from . import current as found
from . import desired as state
from . import steps

KIND = "is"
CLASSES = {
    made.__name__: made
    for module in (found, state, steps)
    for made in vars(module).values()
    if isinstance(made, type) and is_dataclass(made) and made.__module__ == module.__name__
}
CLASSES["FoundFile"] = FileContent  # its name in what c128c27 and later wrote


def to_plain(value):
    """``value`` (a step, something found, a tuple of such) as JSON can hold it."""
    if is_dataclass(value):
        content = {field.name: to_plain(getattr(value, field.name)) for field in fields(value)}
        return dict(content, **{KIND: "FoundFile" if isinstance(value, FileContent) else type(value).__name__})
    if isinstance(value, bytes):
        return {KIND: "bytes", "hex": value.hex()}
    if isinstance(value, (tuple, list)):
        return [to_plain(item) for item in value]
    return value


def from_plain(plain):
    """The value again; lists come as tuples. :raises HostError: for what this version does not know."""
    if isinstance(plain, list):
        return tuple(from_plain(item) for item in plain)
    if not isinstance(plain, dict):
        return plain
    content = dict(plain)
    kind = content.pop(KIND, None)
    try:
        if kind == "bytes":
            return bytes.fromhex(content["hex"])
        return CLASSES[kind](**{key: from_plain(value) for key, value in content.items()})
    except (KeyError, TypeError, ValueError):
        raise HostError(
            "a kept %s can't be read: another version of the collection wrote it, or somebody changed it"
            % (kind or "value")
        ) from None
