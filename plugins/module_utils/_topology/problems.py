# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Problems of settings, with the field that each is about, so that every caller can name it in its own words.

The policies (:mod:`.cluster`, :mod:`.node`, :mod:`.gateway_checks`) judge. Modules and commands raise the first problem
with the option's name; the inventory's validation shows all of them with host and variable.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from .._common import addressing
from .._common.address_rules import overlay_network
from .._common.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from typing import Any, Literal

    Field = Literal[
        "cluster_subnets",
        "join_subnets",
        "node_subnets",
        "mtu",
        "physical_ips",
        "next_hops",
        "pinned_subnets",
        "chassis",
        "name",
    ]

# Field -> the option of modules and commands.
OPTIONS: dict[Field, str] = {
    "cluster_subnets": "cluster_ip_subnet",
    "join_subnets": "join_subnet",
    "node_subnets": "minion_switch_subnet",
    "mtu": "mtu",
    "physical_ips": "physical_ip",
    "next_hops": "default_gw",
    "pinned_subnets": "source subnet",
    "chassis": "chassis",
    "name": "node_name",
}


@dataclass(frozen=True)
class Problem:
    """A setting that can't work.

    :ivar field: the setting.
    :ivar problem: what is wrong, to be put behind the setting's name and value, such as ``has host bits set``.
    :ivar advice: what would be right.
    :ivar value: the value that is wrong; None where the setting has none.
    :ivar subject: the object that has the setting, such as ``gateway node1``; empty for the cluster.
    """

    field: Field
    problem: str
    advice: str
    value: object = None
    subject: str = ""

    def error(self) -> SettingsError:
        """Return the problem as an error with the option's name."""
        setting = OPTIONS[self.field] + (f" of {self.subject}" if self.subject else "")
        return SettingsError(self.problem, self.advice, self.value, setting)


def raise_first(problems: Iterable[Problem]) -> None:
    """Raise the first problem; :raises SettingsError: if there is one."""
    for problem in problems:
        raise problem.error()


def judge(field: Field, subject: str, rule: Callable[..., Any], *arguments: Any) -> Iterator[Problem]:
    """Yield the problem that a rule of :mod:`.._common.address_rules` or :mod:`.._common.addressing` raises."""
    try:
        rule(*arguments)
    except SettingsError as exc:
        yield Problem(field, exc.problem, exc.advice, exc.value, subject)


def network_problems(field: Field, subnets: Sequence[str], subject: str = "") -> Iterator[Problem]:
    """Yield the problems of networks of the overlay: one of each family at most, and none that is special."""
    if not subnets:
        yield Problem(field, "is empty", "give one IPv4 network, one IPv6 network, or one of each", None, subject)
        return
    found = [problem for subnet in subnets for problem in judge(field, subject, overlay_network, subnet)]
    yield from found
    if not found and has_family_twice(subnets):
        yield Problem(
            field,
            "has two networks of one family",
            "give at most one IPv4 and one IPv6 network",
            ", ".join(subnets),
            subject,
        )


def has_family_twice(texts: Iterable[str]) -> bool:
    """Return whether two of the addresses or networks are of one family."""
    families = [addressing.family(text) for text in texts]
    return len(families) != len(set(families))


def families(texts: Iterable[str]) -> set[int]:
    """Return the IP versions of addresses or networks."""
    return {addressing.family(text) for text in texts}
