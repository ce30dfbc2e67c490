# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""``ovn-k8s-util``: moves NICs into bridges of their own, and back, as a change that the host rolls back unless it is
confirmed."""

from __future__ import annotations

import argparse
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .._common import names
from .._common.errors import HostError
from .._common.result import Result
from .._nic.checkpoint import END_TIMEOUT, begin, check_timeout, confirm, wait_for_end
from .._nic.journal import host_journal
from .._nic.moved import moved_nics
from .._nic.plan import plan
from .._ovsdb.connection import Connection
from . import version
from .result import UNCHANGED, note_disabled_unit, run_command

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from .._nic.plan import Change

CONFIRMED = "Confirmed."
EXAMPLES = """examples:
  ovn-k8s-util nics-to-bridge eth0        eth0 goes into breth0, with its addresses and routes
  ovn-k8s-util confirm                    it stays; without this the host takes it back after the time-out
  ovn-k8s-util nics-to-bridge eth0 --yes  for scripts: confirmed at once; a step that fails is still rolled back
  ovn-k8s-util bridges-to-nic breth0      the inverse

Exit status: 0 done, or nothing to do; 1 failed, with one sentence; 2 wrong usage.
"""


@dataclass(frozen=True)
class Command:
    """A command: the name of its arguments in the help (None: it has none), and what it does."""

    arguments: str | None
    description: str


COMMANDS = {
    "nics-to-bridge": Command("NIC", "Move each NIC into a bridge of its own, br<nic>, with its addresses and routes."),
    "bridges-to-nic": Command("BRIDGE", "Give each bridge's NIC back what it had, and remove the bridge."),
    "confirm": Command(None, "Confirm that the host can be reached with the change that was made last: it stays."),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program. Return its exit status."""
    options = parser().parse_args(arguments)
    command = f"ovn-k8s-util {options.command}"
    if options.command == "confirm":
        return run_command(command, lambda _notes: _confirm(), False, CONFIRMED, CONFIRMED)
    complete = (
        CONFIRMED
        if options.yes
        else f"Done. Run within {options.timeout} s, best over a new connection, or it is rolled back: "
        "ovn-k8s-util confirm"
    )
    return run_command(command, lambda notes: _move(options, notes), options.dry_run, complete, UNCHANGED)


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    program = argparse.ArgumentParser(
        prog="ovn-k8s-util",
        epilog=EXAMPLES,
        allow_abbrev=False,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Move NICs into bridges of their own, and back; the host takes it back by itself unless it is "
        "confirmed.",
    )
    version.add_option(program)
    commands = program.add_subparsers(
        dest="command", required=True, metavar="nics-to-bridge | bridges-to-nic | confirm"
    )
    for name, command in COMMANDS.items():
        one = commands.add_parser(
            name,
            help=command.description,
            description=command.description,
            epilog=EXAMPLES,
            allow_abbrev=False,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        if command.arguments:
            _add_options(one, command.arguments)
    return program


def _add_options(command: argparse.ArgumentParser, arguments: str) -> None:
    """Add what a command has that moves NICs."""
    command.add_argument("nics", nargs="+", metavar=arguments)
    command.add_argument(
        "--timeout",
        type=int,
        default=30,
        metavar="SECONDS",
        help="until it is rolled back (default: %(default)s)",
    )
    command.add_argument("--yes", action="store_true", help="confirm at once")
    command.add_argument(
        "--db",
        default=names.LOCAL_SOCKET,
        help="where this host's Open_vSwitch database is (default: %(default)s)",
    )
    command.add_argument("--dry-run", action="store_true", help="show what would be done, change nothing")


def _move(options: argparse.Namespace, notes: list[str]) -> Iterator[Result]:
    """Begin the change, and wait until all is done."""
    check_timeout("--timeout", options.timeout)
    to_bridge = options.command == "nics-to-bridge"
    nics = options.nics if to_bridge else [_nic(name) for name in options.nics]

    def change() -> Change:
        return plan(lambda: Connection(options.db, names.LOCAL), nics, to_bridge, "request")

    if options.dry_run:
        yield Result(change().items)
        return
    identity = uuid.uuid4().hex
    begun = begin(change, nics, identity, options.timeout, options.db)
    yield Result(begun.items)
    if begun.acts:
        wait_for_end(identity, nics, options.timeout, (lambda: True) if options.yes else None)
        note_disabled_unit(notes)


def _confirm() -> Iterator[Result]:
    """Confirm the change that waits for it."""
    change = host_journal().read()
    if change is None:
        raise HostError("no change of this host's NICs waits for a confirmation")
    outcome = confirm(change.id, END_TIMEOUT)
    if not outcome.is_confirmed:
        raise HostError(
            f"{change.names}: the change can't be confirmed any more, it is {outcome.state}: "
            f"{outcome.reason or 'too late'}"
        )
    yield Result()


def _nic(name: str) -> str:
    """Return the NIC of a bridge that this collection made, or the name itself."""
    return next((nic for nic in moved_nics() if names.uplink_bridge(nic) == name), name)
