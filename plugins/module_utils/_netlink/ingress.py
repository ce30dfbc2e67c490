# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Drop packets at the ingress of NICs: one nftables table of the family netdev (nft(8)), a base chain for each NIC.

Other programs remove all tables: ``nft flush ruleset`` is the first line of Debian's /etc/nftables.conf. So each NIC
has a file in :data:`.._common.names.DROPS_DIRECTORY` as long as its packets are to be dropped, by which
:mod:`.._programs.drops` knows a drop that was removed by others from one that is not wanted any more.
"""

from __future__ import annotations

import contextlib
import os
from typing import Any

from .._common import names
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


def kept_nics() -> frozenset[str] | None:
    """Return the NICs whose packets are to be dropped until :func:`remove_drop`; None: no drop was ever added.

    :raises HostError: that can't be read.
    """
    try:
        return frozenset(os.listdir(names.DROPS_DIRECTORY))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise HostError(f"the drops of this host can't be read: {error}") from error


def keep_drop(nic: str) -> None:
    """Note that the packets of a NIC are to be dropped. The drop itself does not depend on it."""
    with contextlib.suppress(OSError):  # of a full /run, for example
        os.makedirs(names.DROPS_DIRECTORY, 0o700, exist_ok=True)
        os.close(os.open(_note(nic), os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600))


def _note(nic: str) -> str:
    return os.path.join(names.DROPS_DIRECTORY, nic)


def add_drop(nic: str) -> None:
    """Drop all packets that a NIC receives for the host's own stack.

    :raises HostError: nftables refused.
    """
    for former in dropped_nics() if kept_nics() is None else ():  # those of a release without notes
        keep_drop(former)
    keep_drop(nic)
    _add_chain(nic)


def restore_drop(nic: str) -> bool:
    """Add a drop that another program has removed. Return False when it is not wanted any more.

    :raises HostError: nftables refused.
    """
    _add_chain(nic)
    if os.path.exists(_note(nic)):
        return True
    remove_drop(nic)  # somebody does the same just now, and may have been faster
    return False


def _add_chain(nic: str) -> None:
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
    with contextlib.suppress(FileNotFoundError):
        os.unlink(_note(nic))
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
