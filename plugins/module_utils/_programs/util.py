# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""``ovn-k8s-util``: moves NICs into bridges of their own, and back, as a change that the host takes back unless it is confirmed."""

from __future__ import annotations

import argparse
import uuid

from .._common import names
from .._common.errors import HostError
from .._common.result import Result
from .._nic.checkpoint import PATIENCE, begin, check_timeout, confirm, see_through
from .._nic.executor import the_journal
from .._nic.plan import kept_uplinks, plan
from .._ovsdb.connection import Connection
from .result import UNCHANGED, after_a_boot, answer

CONFIRMED = "Confirmed."
EXAMPLES = """examples:
  ovn-k8s-util nics-to-bridge eth0        eth0 goes into breth0, with its addresses and routes
  ovn-k8s-util confirm                    it stays; without this the host takes it back after the time-out
  ovn-k8s-util nics-to-bridge eth0 --yes  for scripts: confirmed at once; a step that fails is still taken back
  ovn-k8s-util bridges-to-nic breth0      the inverse

Exit status: 0 done, or nothing to do; 1 failed, with one sentence; 2 wrong usage.
"""


def main(arguments=None):
    """The program."""
    options = parser().parse_args(arguments)
    command = f"ovn-k8s-util {options.command}"
    if options.command == "confirm":
        return answer(command, lambda _notes: _confirm(), False, CONFIRMED, CONFIRMED)
    complete = (
        CONFIRMED
        if options.yes
        else f"Done. Run within {options.timeout} s, best over a new connection, or it is taken back: ovn-k8s-util confirm"
    )
    return answer(command, lambda notes: _move(options, notes), options.dry_run, complete, UNCHANGED)


def parser():
    """The flags."""
    whole = argparse.ArgumentParser(
        prog="ovn-k8s-util",
        epilog=EXAMPLES,
        allow_abbrev=False,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Move NICs into bridges of their own, and back; the host takes it back by itself unless it is confirmed.",
    )
    commands = whole.add_subparsers(dest="command", required=True, metavar="nics-to-bridge | bridges-to-nic | confirm")
    for command, (things, what) in HELP.items():
        one = commands.add_parser(
            command,
            help=what,
            description=what,
            epilog=EXAMPLES,
            allow_abbrev=False,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        if things:
            one.add_argument("nics", nargs="+", metavar=things)
            one.add_argument(
                "--timeout",
                type=int,
                default=30,
                metavar="SECONDS",
                help="until it is taken back (default: %(default)s)",
            )
            one.add_argument("--yes", action="store_true", help="confirm at once")
            one.add_argument(
                "--db",
                default=names.LOCAL_SOCKET,
                help="where this host's Open_vSwitch database is (default: %(default)s)",
            )
            one.add_argument("--dry-run", action="store_true", help="show what would be done, change nothing")
    return whole


def _move(options, notes):
    """Begin the change, and wait until all is done."""
    check_timeout("--timeout", options.timeout)
    nics = [_nic(name) for name in options.nics] if options.command == "bridges-to-nic" else options.nics

    def change():
        return plan(lambda: Connection(options.db, names.LOCAL), nics, options.command == "nics-to-bridge", "request")

    if options.dry_run:
        yield Result(change().items)
        return
    identity = uuid.uuid4().hex
    begun = begin(change, nics, identity, options.timeout, options.db)
    yield Result(begun.items)
    if begun.acts:
        see_through(identity, nics, options.timeout, (lambda: True) if options.yes else None)
        after_a_boot(notes)


def _confirm():
    """Say that the change that waits is good."""
    change = the_journal().read()
    if change is None:
        raise HostError("no change of this host's NICs waits for a confirmation")
    outcome = confirm(change["id"], PATIENCE)
    if not outcome.good:
        raise HostError(
            f"{', '.join(change['nics'])}: the change can't be confirmed any more, it is {outcome.state}: {outcome.reason or 'too late'}"
        )
    yield Result()


def _nic(name):
    """The NIC of a bridge that we made, or the name itself."""
    return next((nic for nic in kept_uplinks() if names.uplink_bridge(nic) == name), name)


HELP = {
    "nics-to-bridge": ("NIC", "Move each NIC into a bridge of its own, br<nic>, with its addresses and routes."),
    "bridges-to-nic": ("BRIDGE", "Give each bridge's NIC back what it had, and take the bridge away."),
    "confirm": (None, "Say that the host can be reached with the change that was made last: it stays."),
}
