# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Users' own settings of a host's Open vSwitch, such as hardware offload: what they may be, and which of them differ.

The module openvswitch_db of openvswitch.openvswitch sets them, and takes them back. It puts their words into a command
of ovs-vsctl without quotes, and reads the command's text. What it would break or miss is refused here. It has no diff,
and fails in check mode where something differs: so the difference is worked out here, and it runs for that alone.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from .._common import names
from .._common.errors import HostError, SettingsError
from .._common.files import FileContent, read_file
from .._host.steps.files import FileStep
from .._ovsdb.connection import NoDatabase
from .._ovsdb.converge import read_rows
from .._ovsdb.rows import by_name
from .._ovsdb.schema import SINGLETON

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from typing import Any

    from .._host.steps.base import Step
    from .._ovsdb.converge import Database

FILE = names.SETTINGS_DIRECTORY + "/openvswitch.json"  # which settings the host has from the inventory
FIELDS = ("table", "record", "column", "key", "value")
# The maps that are for settings (ovs-vswitchd.conf.db(5)). external_ids of other tables have texts with ", ", at which
# openvswitch_db fails.
TABLES = {
    SINGLETON: ("other_config", "external_ids"),
    "Bridge": ("other_config",),
    "Port": ("other_config",),
    "Interface": ("other_config", "options"),
}
# What the collection writes itself, or has the host's identity.
OURS = {
    (SINGLETON, "external_ids"): (
        "hostname",
        "ovn-bridge",
        "ovn-bridge-datapath-type",
        "ovn-bridge-mappings",
        "ovn-encap-ip",
        "ovn-encap-type",
        "ovn-remote",
        "system-id",
    ),
    ("Bridge", "other_config"): ("disable-in-band", "hwaddr"),
}
RECORD = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}")
# ovs-vsctl shows such a key without quotes, which openvswitch_db does not read (string_needs_quotes in
# lib/ovsdb-data.c of Open vSwitch).
KEY = re.compile(r"(?!(true|false)$)[A-Za-z_][A-Za-z0-9_.-]{0,99}")
# One word of a command, without what Ansible replaces in it ($, ~) and without quotes.
VALUE = re.compile(r"[A-Za-z0-9_.,:=/@%+-]{1,250}")
EXAMPLE = "{table: Open_vSwitch, record: ., column: other_config, key: hw-offload, value: true}"


class Setting(NamedTuple):
    """One key of a map in Open vSwitch's database.

    :ivar value: None: the key is not there.
    """

    table: str
    record: str
    column: str
    key: str
    value: str | None = None

    @property
    def place(self) -> tuple[str, str, str, str]:
        """All but the value."""
        return self[:4]

    def __str__(self) -> str:
        return f"{self.table} {self.record} {self.column}:{self.key}"


def read(entries: object) -> list[Setting]:
    """Return the settings of an inventory.

    :raises SettingsError: one of them can't be used; its value names it.
    """
    if not isinstance(entries, (list, tuple)):
        raise SettingsError("is not a list of settings", f"write each like {EXAMPLE}", entries)
    found: dict[tuple[str, ...], Setting] = {}
    for entry in entries:
        setting = _read(entry)
        if setting.place in found:
            raise SettingsError("is in the list twice", "keep one of them", str(setting))
        found[setting.place] = setting
    return list(found.values())


def _read(entry: object) -> Setting:
    if not isinstance(entry, dict) or set(entry) != set(FIELDS):
        fields = f"{', '.join(FIELDS[:-1])} and {FIELDS[-1]}"
        shown = ", ".join(map(str, entry)) if isinstance(entry, dict) else entry
        raise SettingsError(f"has not exactly {fields}", f"write it like {EXAMPLE}", shown)
    setting = Setting(*(_text(entry[field]) for field in FIELDS))
    for problem, advice in _problems(setting):
        raise SettingsError(problem, advice, str(setting))
    return setting


def _text(value: object) -> str:
    """Return a value as Open vSwitch spells it, where true and false are small."""
    text = "" if value is None else str(value)
    return text.lower() if text in ("True", "False") else text


def _problems(setting: Setting) -> Iterable[tuple[str, str]]:
    table, record, column, key, value = setting
    if table not in TABLES:
        yield "is in a table that has no settings for users", f"the tables are {', '.join(TABLES)}"
    elif column not in TABLES[table]:
        yield f"is in no column of {table} for users' settings", f"write {' or '.join(TABLES[table])}"
    if table == SINGLETON and record != ".":
        yield f"names a record of {SINGLETON}, which has one only", "write . as its record"
    if table != SINGLETON and not RECORD.fullmatch(record):
        yield "has a record that is no name", "write the name of a bridge, port or interface, like br-int"
    if key in OURS.get((table, column), ()):
        yield "is set by this collection itself", "remove the entry"
    if not KEY.fullmatch(key):
        yield "has a key that openvswitch_db can't find again", "keys have letters, digits, '_', '.' and '-' only"
    if not VALUE.fullmatch(value or ""):
        yield (
            "has a value that openvswitch_db can't write",
            "a value has letters, digits and _.,:=/@%+- only, without spaces and quotes, and is not empty",
        )


@dataclass(frozen=True)
class Change:
    """A setting that differs.

    :ivar current: the value that it has; None: the key is not there.
    """

    setting: Setting
    current: str | None

    def describe(self) -> str:
        """Return one line of the plan."""
        return f"{self.setting}: {_shown(self.current)} -> {_shown(self.setting.value)}"

    def as_dict(self) -> dict[str, Any]:
        """Return the change for a module's plan."""
        verb = "unset" if self.setting.value is None else "set"
        values = {"kind": "openvswitch", "operation": verb, "setting": str(self.setting)}
        return values if self.setting.value is None else {**values, "value": self.setting.value}

    def before(self) -> list[str]:
        """Return the diff's lines before the change."""
        return [] if self.current is None else [f"{self.setting} = {self.current}"]

    def after(self) -> list[str]:
        """Return the diff's lines after the change."""
        return [] if self.setting.value is None else [f"{self.setting} = {self.setting.value}"]

    def as_option(self) -> dict[str, str]:
        """Return the change as options of openvswitch_db."""
        table, record, column, key, value = self.setting
        options = {"table": table, "record": record, "col": column, "key": key}
        return {**options, "state": "absent"} if value is None else {**options, "value": value, "state": "present"}


def _shown(value: str | None) -> str:
    return "unset" if value is None else value


def changes(database: Database, wanted: Sequence[Setting], check: bool) -> list[Change]:
    """Return the settings that differ: those that are wanted, and those that the inventory has no more.

    :param check: a record that does not exist may be made by what was only planned.
    :raises HostError: a wanted setting is of a record that does not exist.
    """
    places = {setting.place for setting in wanted}
    gone = [Setting(*place) for place in noted() if place not in places]
    found = []
    for setting in (*wanted, *gone):
        column = _column(database, setting)
        if column is None and setting.value is not None and not check:
            raise HostError(
                f"ovn_openvswitch_settings has {setting}, and this host's Open vSwitch has no {setting.table} "
                f"{setting.record}: correct its name, or make it first"
            )
        current = (column or {}).get(setting.key)
        if current != setting.value:
            found.append(Change(setting, current))
    return found


def _column(database: Database, setting: Setting) -> Mapping[str, str] | None:
    """Return the map that a setting is in; None: its record does not exist."""
    if isinstance(database, NoDatabase):
        return None
    for row in read_rows(database, [by_name(setting.table, setting.record, (setting.column,))]):
        column: Mapping[str, str] = row.columns[setting.column]
        return column
    return None


def noted() -> list[tuple[str, str, str, str]]:
    """Return the places of the settings that the host has from the inventory.

    What is damaged, somebody has changed by hand: it counts for nothing.
    """
    file = read_file(FILE)
    try:
        places = json.loads(file.content) if file else []
        return [(str(table), str(record), str(column), str(key)) for table, record, column, key in places]
    except (ValueError, TypeError):
        return []


def note(wanted: Iterable[Setting], differing: Iterable[Change]) -> list[Step]:
    """Return the step that notes the places of settings, before they are set, until they are taken back."""
    places = {setting.place for setting in wanted} | {change.setting.place for change in differing}
    current = read_file(FILE)
    content = FileContent(json.dumps(sorted(places), indent=2) + "\n", 0o644) if places else None
    return [] if current == content else [FileStep(FILE, content, current)]
