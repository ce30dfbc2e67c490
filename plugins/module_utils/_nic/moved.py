# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is kept of a NIC while it is in its bridge: /etc/ovn-kubernetes/uplinks/NIC.json, from which a boot makes the
bridge again."""

from __future__ import annotations

import contextlib
import json
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from .._common import names
from .._common.errors import HostError
from .._common.files import read_file
from .._host.desired import File
from .._netlink.records import DEFAULT_OPTIONS, KernelNeighbour, LinkOptions

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any

    from .._host.steps.base import Step
    from .steps import Handover

SUFFIX, GATEWAY_SUFFIX = ".json", ".gateway"
# Keys of the file that the first version did not know.
NEIGHBOURS, SAVED_NEIGHBOURS, OPTIONS = "neighbour_settings", "neighbours", "options"
LEFT_OUT, LABELS = "left_out", "labels"


@dataclass(frozen=True)
class MovedNic:
    """A NIC in its bridge.

    :ivar users: who needs it there, keys of :data:`.uplink.USERS`. It goes back with the last of them.
    :ivar promiscuous: whether the NIC accepted packets for other MACs before; then the bridge does.
    :ivar offloads: those that were on, and are off for the userspace datapath.
    :ivar files: of network managers, while the NIC is in the bridge.
    :ivar previous_files: the same paths as they were.
    :ivar handovers: what network managers are told.
    :ivar sysctls: settings of the NIC that the bridge has, see :mod:`.sysctls`.
    :ivar options: of the NIC, which the bridge has too.
    :ivar saved_neighbours: configured ones that the bridge gets with its addresses after a boot.
    :ivar left_out: addresses that it does not get then, each with the reason in brackets; None: an earlier version has
        saved all.
    :ivar labels: of addresses on the NIC that are too long for the bridge: CIDR to label.
    :ivar saved_steps: what gives the bridge its addresses after a boot; empty: the network manager does.
    :ivar had_addresses: whether the NIC had some.
    """

    users: tuple[str, ...] = ()
    promiscuous: bool = False
    offloads: tuple[str, ...] = ()
    files: tuple[File, ...] = ()
    previous_files: tuple[File, ...] = ()
    handovers: tuple[Handover, ...] = ()
    sysctls: dict[str, str] = field(default_factory=dict)
    saved_steps: tuple[Step, ...] | None = None
    had_addresses: bool = False
    options: LinkOptions = DEFAULT_OPTIONS
    saved_neighbours: tuple[KernelNeighbour, ...] = ()
    left_out: tuple[str, ...] | None = None
    labels: dict[str, str] = field(default_factory=dict)

    @classmethod
    def from_text(cls, nic: str, text: str) -> MovedNic:
        """Return what the file says.

        :raises HostError: somebody has changed it.
        """
        from .serialize import from_json  # here: it loads all network managers, and most hosts have no such file

        try:
            kept = dict(json.loads(text))
            saved = kept.get("had")
            return cls(
                tuple(kept.get("users", ())),
                bool(kept.get("promiscuous")),
                tuple(kept.get("offloads", ())),
                from_json(kept.get("files", [])),
                from_json(kept.get("inverse", [])),
                from_json(kept.get("handovers", [])),
                _settings_from(kept.get("settings", {}), "conf") | _settings_from(kept.get(NEIGHBOURS, {}), "neigh"),
                None if saved is None else from_json(saved if isinstance(saved, list) else [saved]),
                bool(kept.get("addressed")),
                from_json(kept[OPTIONS]) if OPTIONS in kept else DEFAULT_OPTIONS,
                from_json(kept.get(SAVED_NEIGHBOURS, [])),
                tuple(kept[LEFT_OUT]) if LEFT_OUT in kept else None,
                dict(kept.get(LABELS, {})),
            )
        except (TypeError, ValueError):
            raise HostError(
                f"{names.uplink_file(nic)} can't be read: restore it, or remove it and say again who needs {nic} in "
                "its bridge"
            ) from None

    def as_text(self) -> str:
        """Return the content of the file. Its keys never change: versions before and after this one read it.

        What the first version did not know has keys of its own, and only where there is something.
        """
        from .serialize import to_json  # here, as in from_text

        kept: dict[str, Any] = {
            "users": list(self.users),
            "promiscuous": self.promiscuous,
            "offloads": list(self.offloads),
            "files": to_json(self.files),
            "inverse": to_json(self.previous_files),
            "handovers": to_json(self.handovers),
            "settings": _settings_in(self.sysctls, "conf"),
            "had": None if self.saved_steps is None else to_json(self.saved_steps),
            "addressed": self.had_addresses,
        }
        neighbours = _settings_in(self.sysctls, "neigh")
        if neighbours:
            kept[NEIGHBOURS] = neighbours
        if self.options != DEFAULT_OPTIONS:
            kept[OPTIONS] = to_json(self.options)
        if self.saved_neighbours:
            kept[SAVED_NEIGHBOURS] = to_json(self.saved_neighbours)
        if self.left_out is not None:
            kept[LEFT_OUT] = list(self.left_out)
        if self.labels:
            kept[LABELS] = self.labels
        return json.dumps(kept, indent=2, sort_keys=True) + "\n"


def _settings_in(sysctls: Mapping[str, str], folder: str) -> dict[str, str]:
    """Return the settings of one kind as the file has them, such as ``ipv4/{link}/rp_filter``."""
    middle = f"/{folder}/"
    return {path.replace(middle, "/", 1): value for path, value in sysctls.items() if middle in path}


def _settings_from(kept: Mapping[str, str], folder: str) -> dict[str, str]:
    """Return the settings that the file has of one kind, by their paths."""
    return {path.replace("/", f"/{folder}/", 1): value for path, value in dict(kept).items()}


def moved_nic(nic: str) -> MovedNic | None:
    """Return what is kept of a NIC; None: it is not in a bridge of its own."""
    file = read_file(names.uplink_file(nic))
    return MovedNic.from_text(nic, file.content) if file else None


def moved_nic_file(nic: str, moved: MovedNic | None) -> File:
    """Return the desired file of a NIC. It holds the content of other files, so nobody else may read it.

    :param moved: None: the NIC is not in its bridge.
    """
    return File(names.uplink_file(nic), None if moved is None else moved.as_text(), 0o600)


def users_of(nic: str) -> tuple[str, ...]:
    """Return who needs the NIC in its bridge; nobody where it is not in a bridge of its own."""
    moved = moved_nic(nic)
    return moved.users if moved else ()


def moved_nics(user: str | None = None) -> list[str]:
    """Return the NICs that are in their bridges, in the order of their names.

    :param user: only those that this user needs.
    """
    return [nic for nic in _kept(SUFFIX) if user is None or user in users_of(nic)]


def gateway_nic(nic: str) -> MovedNic | None:
    """Return what is kept of a NIC that only the gateway uses; None: nothing."""
    file = read_file(names.gateway_nic_file(nic))
    return MovedNic.from_text(nic, file.content) if file else None


def gateway_nic_file(nic: str, moved: MovedNic | None) -> File:
    """Return the desired file of a NIC that only the gateway uses."""
    return File(names.gateway_nic_file(nic), None if moved is None else moved.as_text(), 0o600)


def gateway_nics() -> list[str]:
    """Return the NICs of which something is kept, since only the gateway uses them, or did until it was removed."""
    return _kept(GATEWAY_SUFFIX)


def files_of_others(nics: Iterable[str]) -> dict[str, tuple[File, ...]]:
    """Return the files of the NICs that are in their bridges beside these, or are the gateway's: NIC to files."""
    kept = {nic: moved_nic(nic) for nic in sorted(set(moved_nics()) - set(nics))}
    kept.update({nic: gateway_nic(nic) for nic in sorted(set(gateway_nics()) - set(nics))})
    return {nic: moved.files for nic, moved in kept.items() if moved}


def _kept(suffix: str) -> list[str]:
    """Return the NICs that have a file with this suffix, in the order of their names."""
    with contextlib.suppress(FileNotFoundError):
        files = os.listdir(names.UPLINKS_DIRECTORY)
        return sorted(file[: -len(suffix)] for file in files if file.endswith(suffix) and not file.startswith("."))
    return []
