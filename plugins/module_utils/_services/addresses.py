# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which texts of Kubernetes' objects are addresses of a machine. They go into rules that root loads."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._common import addressing

if TYPE_CHECKING:
    from collections.abc import Iterable

LINK_LOCAL = ("169.254.", "fe")  # how such addresses begin, among others


def usable(texts: Iterable[object]) -> tuple[str, ...]:
    """Return the texts that are unicast addresses of one machine, in their usual spelling, each once.

    The API server does not check all of these texts, and they go into rules that root loads. A link-local address is
    not one machine's: each link has its own, 169.254.169.254 for example.
    """
    return tuple(dict.fromkeys(ip for ip in map(addressing.unicast, texts) if ip and not _is_link_local(ip)))


def unusable(texts: Iterable[object]) -> list[str]:
    """Return the addresses, in their usual spelling, that are none of one machine. Other text is left out."""
    found = dict.fromkeys(filter(None, map(addressing.normalized, texts)))
    return [text for text in found if addressing.unicast(text) is None or _is_link_local(text)]


def of_version(addresses: Iterable[str], version: int) -> list[str]:
    """Return the addresses, or subnets, of one IP version."""
    return [address for address in addresses if addressing.family(address) == version]


def _is_link_local(ip: str) -> bool:
    return ip.startswith(LINK_LOCAL) and addressing.address(ip).is_link_local
