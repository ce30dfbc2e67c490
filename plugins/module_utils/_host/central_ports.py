# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Who may reach the ports of the databases on a master: one table of nftables, beside those of others.

An ovsdb-server knows no names: whoever has a certificate that it trusts may do everything on a listener without a role
(ovsdb-server(1)). Therefore the ports of the Northbound database, of RAFT, and of the Southbound database for masters
are open to masters alone. The port for chassis is open, but not to addresses that were withdrawn.

The table stands in a file too, and the units of the databases load it before they start: without it they don't start.
Debian's ``nftables.service`` removes all tables when it is reloaded or stopped, so that it loads ours after that. A
program (:mod:`.._programs.central_ports`) keeps it where others remove it in other ways.
"""

from __future__ import annotations

import ipaddress
import json
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .._common import names
from .._common.errors import HostError
from .._common.files import FileContent, read_file
from .._common.systemd import is_booted, is_loaded
from .._netlink import nftables_table
from .._netlink.libraries import has_nftables
from .files import FILE_MODE
from .steps.central_ports import KeepStep, TableStep
from .steps.files import FileStep, FolderStep

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from typing import Any

    from .._netlink.nftables_table import Object
    from .steps.base import Step

FAMILY, TABLE = "inet", names.CENTRAL_TABLE
PRIORITY = -310  # before connection tracking and all chains of other firewalls (enum nf_ip_hook_priorities)
GENEVE_PORT = 6081  # RFC 8926, 3.3
MASTERS_PORTS = (
    names.NORTHBOUND_PORT,
    names.NORTHBOUND_RAFT_PORT,
    names.SOUTHBOUND_RAFT_PORT,
    names.SOUTHBOUND_CENTRAL_PORT,
)
IP = {4: "ip", 6: "ip6"}  # nft(8)'s names of the protocols
NFT = "/usr/sbin/nft"
LOAD = f"{NFT} -j -f {names.CENTRAL_PORTS}"
HEAD = "# Part of the Ansible collection ovn.kubernetes: who may reach the ports of OVN's databases.\n[Service]\n"
# Units -> what their drop-ins say. Debian has one unit for each database; EL9 has one for all of OVN central.
LOADED_BEFORE = f"{HEAD}ExecStartPre={LOAD}\n"
LOADED_AGAIN = f"{HEAD}ExecStartPost=-{LOAD}\nExecReload=-{LOAD}\nExecStopPost=-{LOAD}\n"
DROP_INS = {
    "ovn-ovsdb-server-nb": LOADED_BEFORE,
    "ovn-ovsdb-server-sb": LOADED_BEFORE,
    "ovn-northd": LOADED_BEFORE,
    "nftables": LOADED_AGAIN,
}


@dataclass(frozen=True)
class CentralPorts:
    """The desired table.

    :ivar masters: addresses from which masters connect.
    :ivar withdrawn: addresses that are shut out of every port of OVN; no master has one.
    :ivar complete: the masters' addresses are all known. False: those that the table lets in stay in it, since one of
        them may be of a master that is not known now, and that must not lose the others.
    """

    masters: tuple[str, ...]
    withdrawn: tuple[str, ...] = ()
    complete: bool = True


def from_options(options: Mapping[str, Any] | None) -> CentralPorts | None:
    """Return the desired table of a module's options, which have the same names; None: there is to be none."""
    if not options or options["state"] == "absent":
        return None
    return CentralPorts(tuple(options["masters"]), tuple(options["withdrawn"]), options["complete"])


def objects(ports: CentralPorts) -> list[Object]:
    """Return the table's objects, as :func:`.nftables_table.read_table` returns them."""
    items: list[Object] = [{"table": {"family": FAMILY, "name": TABLE}}]
    for version in IP:
        items.append(_set(f"masters{version}", f"ipv{version}_addr", _of_version(ports.masters, version)))
        items.append(_set(f"withdrawn{version}", f"ipv{version}_addr", _of_version(ports.withdrawn, version)))
    every_port = (*MASTERS_PORTS, names.SOUTHBOUND_PORT, names.SOUTHBOUND_SWITCH_PORT)
    items.append(_set("masters_ports", "inet_service", MASTERS_PORTS))
    items.append(_set("ports", "inet_service", every_port))
    for hook in ("input", "output"):
        chain = {"name": hook, "type": "filter", "hook": hook, "prio": PRIORITY, "policy": "accept"}
        items.append({"chain": {"family": FAMILY, "table": TABLE, **chain}})
    items.append(_rule("input", _match(_meta("iifname"), "lo"), ACCEPT))
    for version in IP:
        items += _shut_out(version)
    for version in IP:
        from_master = _match(_field(IP[version], "saddr"), f"@masters{version}")
        items.append(_rule("input", from_master, _match(_field("tcp", "dport"), "@masters_ports"), ACCEPT))
    items.append(_rule("input", _match(_field("tcp", "dport"), "@masters_ports"), RESET))
    return nftables_table.ordered(items)


ACCEPT: dict[str, Any] = {"accept": None}
DROP: dict[str, Any] = {"drop": None}
RESET: dict[str, Any] = {"reject": {"type": "tcp reset"}}


def _shut_out(version: int) -> list[Object]:
    """Return the rules against withdrawn addresses, in both directions: a connection that is there would go on to
    bring them what changes in a database. It ends here when the server sends the next thing, and they hear nothing:
    a reset would be dropped on its way out."""
    source = _match(_field(IP[version], "saddr"), f"@withdrawn{version}")
    destination = _match(_field(IP[version], "daddr"), f"@withdrawn{version}")
    return [
        _rule("input", source, _match(_field("tcp", "dport"), "@ports"), DROP),
        _rule("input", source, _match(_field("udp", "dport"), GENEVE_PORT), DROP),
        _rule("output", destination, _match(_field("tcp", "sport"), "@ports"), RESET),
        _rule("output", destination, _match(_field("udp", "dport"), GENEVE_PORT), DROP),
    ]


def _set(name: str, kind: str, elements: Sequence[str | int]) -> Object:
    item: dict[str, Any] = {"family": FAMILY, "name": name, "table": TABLE, "type": kind}
    if elements:
        item["elem"] = sorted(elements, key=json.dumps)
    return {"set": item}


def _rule(chain: str, *expression: dict[str, Any]) -> Object:
    return {"rule": {"family": FAMILY, "table": TABLE, "chain": chain, "expr": list(expression)}}


def _match(left: dict[str, Any], right: str | int) -> dict[str, Any]:
    return {"match": {"op": "==", "left": left, "right": right}}


def _field(protocol: str, field: str) -> dict[str, Any]:
    return {"payload": {"protocol": protocol, "field": field}}


def _meta(key: str) -> dict[str, Any]:
    return {"meta": {"key": key}}


def _of_version(addresses: Iterable[str], version: int) -> list[str]:
    found = {ipaddress.ip_address(address) for address in addresses}
    return [str(address) for address in sorted(found, key=int) if address.version == version]


def plan(ports: CentralPorts | None, check: bool = False) -> list[Step]:
    """Return the steps to the file, the drop-ins and the table.

    :param ports: None: they are removed, and so is what loads them.
    :param check: the packages of a task before this one may not be installed.
    :raises HostError: nftables can't be read, or the program is missing without which no database would start.
    """
    if ports is None and read_file(names.CENTRAL_PORTS) is None:
        return []  # a host that may not even have the library
    if check and ports is not None and not (has_nftables() and os.path.exists(NFT)):
        return before_packages(ports)
    if ports is not None and not os.path.exists(NFT):
        raise HostError(
            f"{NFT} is missing on this host, and its databases would not start without it: install the package nftables"
        )
    current = nftables_table.read_table(FAMILY, TABLE)
    desired = [] if ports is None else objects(_completed(ports, current))
    steps = file_steps(desired)
    if current != desired:
        steps.append(TableStep(FAMILY, TABLE, desired, current))
    if desired and not is_kept():
        steps.append(KeepStep())
    return steps


def is_kept() -> bool:
    """Return whether the program that keeps the table runs, or can't: a host without systemd, or without the archive of
    the programs, which the site play brings after the databases."""
    return not (is_booted() and os.path.exists(names.ARCHIVE)) or is_loaded(names.CENTRAL_PORTS_UNIT)


def saved_objects() -> list[Object]:
    """Return the objects of the table that the file has; none where there is no such file, or it can't be read."""
    return nftables_table.ordered(_saved())


def file_steps(desired: Sequence[Object]) -> list[Step]:
    """Return the steps to the file of these objects, and to the drop-ins, which come last and go first: a unit that
    would load a file that is not there does not start."""
    contents = {names.CENTRAL_PORTS: _text(nftables_table.replacement(FAMILY, TABLE, desired))}
    contents.update({names.CENTRAL_PORTS_DROP_IN.format(unit): text for unit, text in DROP_INS.items()})
    steps: list[Step] = []
    for path, text in contents.items() if desired else reversed(list(contents.items())):
        current, wanted = read_file(path), FileContent(text, FILE_MODE) if desired else None
        if current != wanted:
            steps.append(FileStep(path, wanted, current))
        folder = os.path.dirname(path)
        if wanted is None and path != names.CENTRAL_PORTS and _is_alone(path):
            steps.append(FolderStep(folder))
    return steps


def _is_alone(path: str) -> bool:
    """Return whether a file is all that its folder has."""
    try:
        return os.listdir(os.path.dirname(path)) == [os.path.basename(path)]
    except OSError:
        return False


def before_packages(ports: CentralPorts) -> list[Step]:
    """Return the steps to the file and the drop-ins of a host that lacks packages: the installation of the databases
    starts them, and they are to load the table before.

    :raises OSError: a file can't be read.
    """
    kept = () if ports.complete else _masters(_saved())
    return file_steps(objects(CentralPorts((*ports.masters, *kept), ports.withdrawn)))


def _completed(ports: CentralPorts, current: Sequence[Object]) -> CentralPorts:
    """Return the desired table, with the masters that stay in it where not all are known. What nftables has lost is
    still in the file."""
    if ports.complete:
        return ports
    kept = {*_masters(current), *_masters(_saved())}.difference(ports.withdrawn)
    return CentralPorts((*ports.masters, *kept), ports.withdrawn)


def _masters(items: Iterable[Object]) -> tuple[str, ...]:
    sets = (item["set"] for item in items if "set" in item)
    return tuple(one for each in sets if each.get("name") in ("masters4", "masters6") for one in each.get("elem", ()))


def _saved() -> list[Object]:
    """Return the objects that the file has; none where it can't be read."""
    file = read_file(names.CENTRAL_PORTS)
    try:
        commands = json.loads(file.content)["nftables"] if file else []
        return [command["add"] for command in commands[2:]]  # after two that remove the table
    except (ValueError, KeyError, TypeError):
        return []


def _text(commands: dict[str, Any]) -> str:
    """Return commands as JSON with a line for each, which a diff can show."""
    lines = ",\n".join(json.dumps(command) for command in commands["nftables"])
    return f'{{"nftables": [\n{lines}\n]}}\n'
