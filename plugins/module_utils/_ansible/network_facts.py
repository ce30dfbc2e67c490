# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Ansible's facts about the network, at a cost that does not grow with the links of a host.

Ansible calls ip(8) twice and ethtool(8) twice for each link, and a node has a link for each pod. No Ansible in here:
the module is a parameter.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    Output = tuple[int, str, str]

LINK = re.compile(r"^\d+: ([^:@\s]+)")  # the first line of a link, ip-address(8)
ONE_LINK = ("addr", "show", "dev")  # of a call for one link, beside "primary" or "secondary"


class FewCalls:
    """Stands for the module where facts are gathered: one call of ip(8) answers for all links, and ethtool(8) is not
    there."""

    def __init__(self, module: Any) -> None:
        self._module = module
        self._answers: dict[tuple[str, ...], tuple[Output, dict[str, str]]] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._module, name)

    def get_bin_path(self, name: str, *arguments: Any, **options: Any) -> Any:
        """Return the path of a program; None for ethtool: nothing reads the features of links."""
        return None if name == "ethtool" else self._module.get_bin_path(name, *arguments, **options)

    def run_command(self, command: Any, *arguments: Any, **options: Any) -> Output:
        """Run a command, or answer from what it has said for all links."""
        if not isinstance(command, list) or not set(ONE_LINK) <= set(command) or command[-2] != "dev":
            output: Output = self._module.run_command(command, *arguments, **options)
            return output
        whole = tuple(command[:-2])
        if whole not in self._answers:
            output = self._module.run_command(list(whole), *arguments, **options)
            self._answers[whole] = output, by_link(output[1].splitlines())
        (code, _out, error), links = self._answers[whole]
        return code, links.get(command[-1], ""), error


def by_link(lines: Sequence[str]) -> dict[str, str]:
    """Return link -> its part of the output of ``ip address show``."""
    links: dict[str, list[str]] = {}
    name = ""
    for line in lines:
        first = LINK.match(line)
        name = first[1] if first else name
        links.setdefault(name, []).append(line)
    return {link: "\n".join(part) + "\n" for link, part in links.items()}
