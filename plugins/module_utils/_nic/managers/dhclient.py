# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""dhclient (dhclient(8)), which ifupdown runs for a link, and other programs that give a NIC addresses beside its
manager.

A client is found by its process. It keeps its leases and its DUID in files (dhclient.leases(5)).
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..._common import names
from ..._common.errors import HostError
from ..._common.files import FileContent, read_file, remove_file, write_file
from ..._common.processes import PARENT, stat
from ..._common.retry import Pause, wait_until
from ..._common.systemd import run_unit
from .base import ADVICE

if TYPE_CHECKING:
    from collections.abc import Container

    from .base import Manager

LEASES_DIRECTORY = "/var/lib/dhcp"
CONFIGURATION = "/etc/dhcp/dhclient.conf"
TIMEOUT = 10.0  # seconds for a client to end, and for a lease
PAUSE = Pause(0.02)
RESTART_PAUSE = Pause(0.5)  # until a client that has ended at once is started again
DHCP_CLIENTS = {"dhclient", "dhcpcd", "udhcpc", "pump", "dhcp6c", "odhcp6c", "wickedd-dhcp4", "wickedd-dhcp6"}
UNKNOWN_MANAGERS = {"connmand", "wickedd", "netifd", "dhcpcd"}  # they take every NIC that they find


@dataclass(frozen=True)
class Process:
    """A running program: its number and its parent's, its name, the words of its command line."""

    pid: int
    parent: int
    name: str
    command: list[str]

    @property
    def words(self) -> list[str]:
        """All words of the command line; some programs write their status there, in one piece."""
        return " ".join(self.command).split()


def processes(programs: Container[str]) -> list[Process]:
    """Return the running programs with these names in this network namespace.

    One that goes to the background is for a moment there twice: the child is the one that stays.
    """
    found = []
    own_namespace = os.readlink("/proc/self/ns/net")
    for number in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{number}/comm", encoding="utf-8", errors="replace") as stream:
                name = stream.read().strip()
            if name not in programs or os.readlink(f"/proc/{number}/ns/net") != own_namespace:
                continue
            with open(f"/proc/{number}/cmdline", "rb") as stream:
                command = [word.decode("utf-8", "surrogateescape") for word in stream.read().split(b"\0")[:-1]]
            parent = int(stat(int(number))[PARENT])
            found.append(Process(int(number), parent, name, command))
        except OSError:  # it has ended meanwhile
            continue
    children = {(process.parent, *process.command) for process in found}
    return [process for process in found if (process.pid, *process.command) not in children]


def clients(link: str) -> list[Process]:
    """Return the running dhclients of a link."""
    return [process for process in processes({"dhclient"}) if link in process.command]


def helper(nic: str) -> str | None:
    """Return the name of a DHCP client that runs for the NIC; None: there is none."""
    return next((process.name for process in processes(DHCP_CLIENTS) if nic in process.words), None)


def refuse_unknown_managers() -> None:
    """Check for managers that take every link.

    :raises HostError: such a manager runs, and is not told to work on certain links only.
    """
    links = set(os.listdir("/sys/class/net"))
    for process in processes(UNKNOWN_MANAGERS):
        if not links.intersection(process.words):
            raise HostError(
                f"{process.name} runs on this host and takes every NIC, and how it would treat a bridge is not known: "
                f"{ADVICE}"
            )


def refuse_clients(nic: str, manager: Manager | None) -> None:
    """Check for DHCP clients that give the NIC addresses beside its manager.

    :raises HostError: there are two for one IP version, or one whose lease the bridge can't take over.
    """
    own = [process for process in processes(DHCP_CLIENTS) if nic in process.words]
    versions = [6 if "-6" in process.words else 4 for process in own]
    programs = sorted({process.name for process in own})
    builtin = manager.dhcp_client if manager else None
    if len(versions) > len(set(versions)) or (own and builtin):
        both = ", ".join([*programs, *([builtin] if builtin else [])])
        raise HostError(f"{nic} has two DHCP clients ({both}): end one of them")
    allowed = manager.dhcp_programs if manager else frozenset()
    if own and allowed is not None and not set(programs) <= allowed:
        reason = "its leases can't be handed over" if manager else "what starts it at boot is not known"
        raise HostError(f"{programs[0]} runs for {nic}, and {reason}: {ADVICE}")
    configuration = read_file(CONFIGURATION) if own else None
    if configuration and re.search(rf'^\s*interface\s+"{re.escape(nic)}"', configuration.content, re.M):
        raise HostError(
            f'{CONFIGURATION} has settings for interface "{nic}" alone, which would not count for its bridge: '
            "write them for all interfaces"
        )


def move_client(source: str, target: str) -> bool:
    """Let the clients of a link work on another link, as the same DHCP clients: with their leases, and without a
    release.

    How a client was started is known from the running process only. So it is noted in a file until all of them run
    again: a program that rolls back an interrupted change reads it. Where it can't be written, the clients move all the
    same.

    :returns: whether there was a client.
    :raises HostError: a client does not end, or gets no lease.
    """
    note = _note(source, target)
    commands = _read_note(note, source)
    known = [command[1:] for command in commands]
    commands += [process.command for process in clients(source) if process.command[1:] not in known]
    if not commands:
        return False
    with contextlib.suppress(OSError):
        _write_note(note, source, commands)
    stop_clients(source)
    for command in commands:
        arguments = [_renamed(word, source, target) for word in command[1:]]
        if arguments in [process.command[1:] for process in clients(target)]:
            continue
        for word in command:
            if word.startswith(f"{LEASES_DIRECTORY}/") and source in word and target != source:
                _move_leases(word, source, target)
        program = os.path.realpath("/sbin/dhclient" if command[0] == "dhclient" else command[0])
        _start([program, *arguments], target)
    with contextlib.suppress(OSError):
        remove_file(note)
    return True


def restart_client(link: str) -> None:
    """Start the clients of a link again, with their leases.

    A running client receives nothing any more when the link was removed and made again.
    """
    move_client(link, link)


def suspend_clients(link: str) -> None:
    """End the clients of a link, and note how they were started, for :func:`resume_clients`."""
    commands = [process.command for process in clients(link)]
    if commands:
        _write_note(_note(link, link), link, commands)
    stop_clients(link)


def resume_clients(link: str) -> None:
    """Start the clients again that were suspended.

    :raises HostError: one gets no lease.
    """
    if read_file(_note(link, link)):
        move_client(link, link)


def forget_clients(link: str) -> None:
    """Forget clients that were suspended: another program starts new ones."""
    with contextlib.suppress(OSError):
        remove_file(_note(link, link))


def _note(source: str, target: str) -> str:
    """Return the path of the note about clients that move between two links."""
    return os.path.join(names.RUN_DIRECTORY, f"dhclient-{'-'.join(sorted((source, target)))}.json")


def _write_note(note: str, link: str, commands: list[list[str]]) -> None:
    write_file(note, FileContent(json.dumps({"link": link, "commands": commands}) + "\n", 0o600))


def stop_clients(link: str) -> None:
    """End the clients of a link, which keep their leases, and wait for the scripts that they began.

    :raises HostError: one does not end.
    """

    def all_ended() -> bool:
        for process in clients(link):
            _end(process.pid)
        return not clients(link) and not _runs_script(link)

    if not wait_until(all_ended, TIMEOUT, PAUSE):
        raise HostError(f"a dhclient-script for {link} does not end: end it by hand (pkill dhclient-script)")


def _read_note(note: str, link: str) -> list[list[str]]:
    """Return the command lines that an interrupted change noted, as they would be for the link."""
    file = read_file(note)
    if file is None:
        return []
    try:
        noted = json.loads(file.content)
        return [[_renamed(word, noted["link"], link) for word in words] for words in noted["commands"]]
    except (KeyError, TypeError, ValueError):
        raise HostError(f"{note} can't be read: start dhclient for the NIC by hand, and remove the file") from None


def _move_leases(path: str, source: str, target: str) -> None:
    """Move a file of leases, with the client's DUID, to the other link. The old one goes, since it would be out of date
    later.

    Without room on the disk the file moves as it is: the client asks for a lease anew then.
    """
    file = read_file(path)
    if file is None:
        return
    content = re.sub(rf'interface "{re.escape(source)}";', f'interface "{target}";', file.content)
    renamed = _renamed(path, source, target)
    with contextlib.suppress(OSError):
        try:
            write_file(renamed, FileContent(content, file.mode))
        except OSError:
            os.rename(path, renamed)
        else:
            remove_file(path)


def _renamed(word: str, source: str, target: str) -> str:
    return re.sub(rf"(?<![\w-]){re.escape(source)}(?![\w-])", target, word)


def _end(pid: int) -> None:
    """End a client by SIGTERM; it keeps its lease then.

    :raises HostError: it does not end.
    """

    def ended() -> bool:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        return False

    try:
        os.kill(pid, signal.SIGTERM)
    except ProcessLookupError:
        return
    if not wait_until(ended, TIMEOUT, PAUSE):
        raise HostError(f"dhclient (process {pid}) does not end: end it by hand (kill {pid})")


def _runs_script(link: str) -> bool:
    """Return whether a client's script may still change the link, whose name is in its environment
    (dhclient-script(8))."""
    for process in processes({"dhclient-script"}):
        try:
            with open(f"/proc/{process.pid}/environ", "rb") as stream:
                if f"interface={link}".encode() in stream.read().split(b"\0"):
                    return True
        except OSError:  # it has ended meanwhile
            continue
    return False


def _start(command: list[str], link: str) -> None:
    """Start a client by systemd, so that it outlives this process. It goes to the background once it has its lease.

    It ends at once while the port of DHCP is taken, which a script of the client before it may hold for a moment longer
    than the client.

    :raises HostError: it gets no lease, or does not stay.
    """
    unit = f"ovn-k8s-dhclient-{link}-{6 if '-6' in command else 4}.service"

    def started() -> bool:
        if not run_unit(unit, f"DHCP client of {link}", command, TIMEOUT, "forking"):
            raise HostError(f"dhclient got no lease for {link} in {TIMEOUT:g} seconds: look at the DHCP server")
        return bool(clients(link))

    if not wait_until(started, TIMEOUT, RESTART_PAUSE):
        raise HostError(f"dhclient does not run for {link}: look at its log (journalctl -u {unit})")
