# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Drops at a NIC's ingress: one nftables table of ours in the family netdev, one base chain a NIC (nft(8))."""

from __future__ import annotations

from .._common.errors import HostError
from .libraries import nftables

FAMILY = "netdev"
TABLE = "ovn_kubernetes"


def chain(nic):
    """The name of a NIC's chain."""
    return "in_%s" % nic


def dropped_nics():
    """The NICs whose packets our table drops. :raises HostError: when nftables can't be asked."""
    answer = _run([{"list": {"chains": {"family": FAMILY}}}], "read the drops of table %s %s" % (FAMILY, TABLE))
    found = set()
    for item in answer.get("nftables", ()):
        entry = item.get("chain", {})
        # Not every version tells the chain's device in JSON; our name does.
        nic = entry.get("name", "")[len(chain("")) :]
        if (
            entry.get("table") == TABLE
            and entry.get("name") == chain(nic)
            and entry.get("hook") == "ingress"
            and entry.get("policy") == "drop"
        ):
            found.add(nic)
    return frozenset(found)


def add_drop(nic):
    """Drop all that a NIC hands to the host's own stack. :raises HostError: when nftables refuses."""
    _run(
        [
            {"add": {"table": {"family": FAMILY, "name": TABLE}}},
            {
                "add": {
                    "chain": {
                        "family": FAMILY,
                        "table": TABLE,
                        "name": chain(nic),
                        "type": "filter",
                        "hook": "ingress",
                        "dev": nic,
                        "prio": 0,
                        "policy": "drop",
                    }
                }
            },
        ],
        "drop what %s hands to the host" % nic,
    )


def remove_drop(nic):
    """Let a NIC's packets in again; the table goes with its last chain.

    :returns: False when they are let in already. :raises HostError: when nftables refuses.
    """
    dropped = dropped_nics()
    if nic not in dropped:
        return False
    commands = [{"delete": {"chain": {"family": FAMILY, "table": TABLE, "name": chain(nic)}}}]
    if dropped == {nic}:
        commands.append({"delete": {"table": {"family": FAMILY, "name": TABLE}}})
    _run(commands, "stop dropping what %s hands to the host" % nic)
    return True


def _run(commands, what):
    code, answer, error = nftables().json_cmd({"nftables": [{"metainfo": {"json_schema_version": 1}}, *commands]})
    if code != 0:
        raise HostError(
            "nftables can't %s: %s"
            % (what, " ".join(str(error).split()) or "it gives no reason; is the kernel's nf_tables module there?")
        )
    return answer or {}
