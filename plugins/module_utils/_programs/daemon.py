# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What programs that stay have in common: Open vSwitch's options for daemons and logs, and how they tell systemd that they are well.

In the order in which a program calls them: :func:`add_options`, :func:`start` (from here on in the background, when that was asked
for), :func:`ready`, and :func:`alive` again and again; when :func:`replaced` ends, the program should. A program that a unit starts gives none of
the options and logs to the journal.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import threading

from .._common.errors import DatabaseError
from .._ovsdb.connection import MISSING_LIBRARY

LOOK = 5.0  # seconds between two looks at the program's files
OPTIONS = ("detach", "monitor", "pidfile", "log_file", "verbose")
NO_SYSTEMD = "the Python library 'systemd' is missing on this host: install python3-systemd"
LEVELS = {
    logging.DEBUG: "dbg",
    logging.INFO: "info",
    logging.WARNING: "warn",
    logging.ERROR: "err",
    logging.CRITICAL: "emer",
}


def add_options(parser):
    """Add --detach, --monitor, --no-chdir, --pidfile[=FILE], --overwrite-pidfile, --log-file[=FILE] and -vMODULE:DESTINATION:LEVEL (ovs-vswitchd(8)).

    :param parser: its ``prog`` is the name of the pid file, the log file and the control socket.
    :raises DatabaseError: when the library is missing.
    """
    try:
        import ovs.daemon
        import ovs.util
    except ImportError:
        raise DatabaseError(MISSING_LIBRARY) from None
    notifier()  # it is missed now, not when there is something to tell
    ovs.util.PROGRAM_NAME = parser.prog
    ovs.daemon.add_args(parser)
    group = parser.add_argument_group(title="Logging Options")
    group.add_argument(
        "--log-file",
        nargs="?",
        const="",
        metavar="FILE",
        help=f"log to a file, by default /var/log/openvswitch/{parser.prog}.log",
    )
    group.add_argument(
        "-v",
        "--verbose",
        nargs="?",
        action="append",
        const="any:any:dbg",
        metavar="[MODULE:]DESTINATION:LEVEL",
        help="what is logged where, as in ovs-vswitchd(8): -vfile:info -vconsole:emer",
    )


def start(options):
    """Begin: log as the options say, and go on in the background when they say so.

    Nothing that a fork loses (threads, sockets, event loops) may have been made before.

    :raises SystemExit: with 2 for a wrong option, with 1 when another one holds the pid file; the parent process ends with 0 after :func:`ready`.
    """
    import ovs.daemon

    if not any(getattr(options, name) for name in OPTIONS):
        logging.basicConfig(level=logging.INFO, format="%(message)s")
        return
    _log(options)
    ovs.daemon.handle_args(options)
    ovs.daemon.daemonize_start()
    if options.pidfile:
        threading.Thread(target=_control, name="control", daemon=True).start()


def ready():
    """The program serves: its parent may end, and systemd hears of it."""
    import ovs.daemon

    ovs.daemon.daemonize_complete()
    notifier()("READY=1")


def alive():
    """It still serves, for systemd's watchdog."""
    notifier()("WATCHDOG=1")


async def replaced(*files):
    """Wait until the program itself, or one of the files that it has read at its start, was replaced: whoever started it starts the new one.

    A play that fails after it has copied them would leave the old program running for long, and it could not even load what it still
    needs of itself. One that is only gone is being removed, and does not count. A program that nobody would start again goes on.

    :returns: the file.
    """
    program = getattr(globals().get("__loader__"), "archive", None)
    known = {file: _stamp(file) for file in (program, *files) if file} if "NOTIFY_SOCKET" in os.environ else {}
    while True:
        await asyncio.sleep(LOOK)
        for file, before in known.items():
            now = _stamp(file)
            if now is not None and now != before:
                return file


def _stamp(file):
    try:
        found = os.stat(file)
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size


def notifier():
    """What systemd is told by; nobody hears it where no unit has started the program. :raises DatabaseError: when the library is missing."""
    if "NOTIFY_SOCKET" not in os.environ:
        return lambda _what: None
    try:
        from systemd.daemon import notify
    except ImportError:
        raise DatabaseError(NO_SYSTEMD) from None
    return notify


def _log(options):
    """Let Open vSwitch's log take what the program logs."""
    import ovs.db.idl
    import ovs.dirs
    import ovs.stream
    import ovs.unixctl.server
    import ovs.vlog  # after it begins no module of the library that logs may be imported for the first time

    handler = _OvsLog(ovs.vlog.Vlog(ovs.util.PROGRAM_NAME))
    for level in options.verbose or ():
        wrong = ovs.vlog.Vlog.set_levels_from_string(level)
        if wrong:
            ovs.util.ovs_fatal(0, f"-v{level}: {wrong}")
    path = options.log_file
    if path == "":
        path = f"{ovs.dirs.LOGDIR}/{ovs.util.PROGRAM_NAME}.log"
    for destination in ovs.vlog.DESTINATIONS:
        own = logging.getLogger(destination)  # its loggers are Python's too
        own.propagate = False
        own.addHandler(logging.NullHandler())
    ovs.vlog.Vlog.init(path)
    logging.getLogger().setLevel(
        logging.DEBUG if any("dbg" in level for level in options.verbose or ()) else logging.INFO
    )
    logging.getLogger().addHandler(handler)


class _OvsLog(logging.Handler):
    """Hands records on to Open vSwitch's log."""

    def __init__(self, log):
        super().__init__()
        self._log = log

    def emit(self, record):
        getattr(self._log, LEVELS.get(record.levelno, "info"))(self.format(record))


def _control():
    """Serve ovs-appctl(8): exit, version, vlog/set, vlog/list, vlog/reopen."""
    import ovs.poller
    import ovs.unixctl
    import ovs.unixctl.server

    ovs.unixctl.command_register("exit", "", 0, 0, _exit, None)
    error, server = ovs.unixctl.server.UnixctlServer.create(None)
    while not error:
        server.run()
        poller = ovs.poller.Poller()
        server.wait(poller)
        poller.block()


def _exit(connection, _arguments, _context):
    connection.reply(None)
    os.kill(os.getpid(), signal.SIGTERM)
