# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Drop packets at the ingress of NICs: one nftables table of the family netdev (nft(8)), a base chain for each NIC."""

from __future__ import annotations

from typing import Any

from .._common.errors import HostError
from .libraries import nftables

FAMILY = "netdev"
TABLE = "ovn_kubernetes"
CHAIN_PREFIX = "in_"


def chain(nic: str) -> str:
    """Return the name of a NIC's chain."""
    return CHAIN_PREFIX + nic


def dropped_nics() -> frozenset[str]:
    """Return the NICs whose packets the table drops.

    :raises HostError: nftables can't be read.
    """
    answer = _run([{"list": {"chains": {"family": FAMILY}}}], f"read the drops of table {FAMILY} {TABLE}")
    nics = set()
    for item in answer.get("nftables", ()):
        entry = item.get("chain", {})
        # Not every version shows the device of a chain in JSON, so the NIC is read from the chain's name.
        nic = entry.get("name", "")[len(CHAIN_PREFIX) :]
        if (
            entry.get("table") == TABLE
            and entry.get("name") == chain(nic)
            and entry.get("hook") == "ingress"
            and entry.get("policy") == "drop"
        ):
            nics.add(nic)
    return frozenset(nics)


def add_drop(nic: str) -> None:
    """Drop all packets that a NIC receives for the host's own stack.

    :raises HostError: nftables refused.
    """
    table = {"family": FAMILY, "name": TABLE}
    base_chain = {
        "family": FAMILY,
        "table": TABLE,
        "name": chain(nic),
        "type": "filter",
        "hook": "ingress",
        "dev": nic,
        "prio": 0,
        "policy": "drop",
    }
    _run(
        [{"add": {"table": table}}, {"add": {"chain": base_chain}}],
        f"drop the packets that {nic} receives for the host",
    )


def remove_drop(nic: str) -> bool:
    """Let the packets of a NIC in again. The table is deleted with its last chain.

    :returns: False when there is no drop.
    :raises HostError: nftables refused.
    """
    dropped = dropped_nics()
    if nic not in dropped:
        return False
    commands = [{"delete": {"chain": {"family": FAMILY, "table": TABLE, "name": chain(nic)}}}]
    if dropped == {nic}:
        commands.append({"delete": {"table": {"family": FAMILY, "name": TABLE}}})
    _run(commands, f"stop dropping the packets that {nic} receives for the host")
    return True


def _run(commands: list[dict[str, Any]], purpose: str) -> dict[str, Any]:
    """Run commands of libnftables-json(5) and return the answer.

    :param purpose: completes the sentence "nftables can't ...".
    """
    code, answer, error = nftables().json_cmd({"nftables": [{"metainfo": {"json_schema_version": 1}}, *commands]})
    if code != 0:
        reason = " ".join(str(error).split()) or "it gives no reason; is the kernel's nf_tables module there?"
        raise HostError(f"nftables can't {purpose}: {reason}")
    return answer or {}
