# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What programs that run for ever have in common: Open vSwitch's options for daemons and logs, and messages to systemd.

A program calls, in this order: :func:`add_options`; :func:`start`, after which it may run in the background;
:func:`ready`; and :func:`alive` again and again. When :func:`replaced` returns, the program should exit.
A program that a unit starts gets none of the options, and logs to the journal.
"""

from __future__ import annotations

import asyncio
import logging
import os
import resource
import signal
import threading
from typing import TYPE_CHECKING

from .._common.errors import DatabaseError
from .._ovsdb.connection import MISSING_LIBRARY
from . import log, version

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable
    from typing import Any

OPEN_FILES = 65536  # as LimitNOFILE of the units says
LOOK = 5.0  # seconds between two checks of the program's files
OPTIONS = ("detach", "monitor", "pidfile", "log_file", "verbose")
NO_SYSTEMD = "the Python library 'systemd' is missing on this host: install python3-systemd"
LEVELS = {
    logging.DEBUG: "dbg",
    logging.INFO: "info",
    logging.WARNING: "warn",
    logging.ERROR: "err",
    logging.CRITICAL: "emer",
}


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add --version, and the options of ovs-vswitchd(8) for daemons and logs.

    They are --detach, --monitor, --no-chdir, --pidfile[=FILE], --overwrite-pidfile, --log-file[=FILE] and
    -vMODULE:DESTINATION:LEVEL.

    :param parser: its ``prog`` is the name of the pid file, the log file and the control socket.
    :raises DatabaseError: a library is missing.
    """
    try:
        import ovs.daemon
        import ovs.util
    except ImportError:
        raise DatabaseError(MISSING_LIBRARY) from None
    version.add_option(parser)
    notifier()  # so that a missing library is an error now, and not at the first message
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


def start(options: argparse.Namespace) -> None:
    """Set up the log, and go into the background, as the options say.

    Threads, sockets and event loops must not exist before: a fork loses them.

    :raises SystemExit: with 2 for a wrong option, with 1 when another process has the pid file. In the parent
        process with 0, after :func:`ready`.
    """
    import ovs.daemon

    _raise_file_limit()
    if not any(getattr(options, name) for name in OPTIONS):
        log.begin()
        return
    _log(options)
    ovs.daemon.handle_args(options)
    ovs.daemon.daemonize_start()
    if options.pidfile:
        threading.Thread(target=_serve_appctl, name="control", daemon=True).start()


def _raise_file_limit() -> None:
    """Let the program open as many files as the system lets it, up to :data:`OPEN_FILES`: started without its unit, it
    has the 1,024 of a shell.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = OPEN_FILES if hard == resource.RLIM_INFINITY else min(OPEN_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def ready() -> None:
    """Say that the program serves: its parent process exits, and systemd knows."""
    started()
    complete()


def complete() -> None:
    """The second half of :func:`ready`: systemd knows that nothing is missing any more."""
    notifier()("READY=1")


def started() -> None:
    """The first half of :func:`ready`, once: the parent process exits, the program works as far as this host goes."""
    import ovs.daemon

    ovs.daemon.daemonize_complete()


def status(text: str) -> None:
    """Say in one sentence what the program waits for; ``systemctl status`` shows it."""
    notifier()(f"STATUS={text}")


def alive() -> None:
    """Reset systemd's watchdog: the program still serves."""
    notifier()("WATCHDOG=1")


async def replaced(*files: str | None, lasting: str | None = None) -> str:
    """Wait until the program's archive, or one of the files that it has read at its start, was replaced; return that
    file.

    The program should exit then, and systemd starts the new one. A play that fails after it has copied the files would
    leave the old program running, which can't even import more of itself from the new archive.
    A file that was deleted does not count: it is being removed. Without a unit, which would start the program again,
    this waits for ever.

    :param lasting: one more file, whose deletion counts: it means something else, and no removal.
    """
    program = getattr(globals().get("__loader__"), "archive", None)
    known = {file: stamp(file) for file in (program, *files, lasting) if file} if "NOTIFY_SOCKET" in os.environ else {}
    while True:
        await asyncio.sleep(LOOK)
        for file, old in known.items():
            now = stamp(file)
            if now != old and (now is not None or file == lasting):
                return file


def stamp(file: str) -> tuple[int, int, int] | None:
    """Return what changes when a file is replaced; None where there is none."""
    try:
        found = os.stat(file)
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size


def notifier() -> Callable[[str], object]:
    """Return the function that sends a message to systemd (sd_notify(3)); it does nothing without a unit.

    :raises DatabaseError: the library is missing.
    """
    if "NOTIFY_SOCKET" not in os.environ:
        return lambda _message: None
    try:
        from systemd.daemon import notify
    except ImportError:
        raise DatabaseError(NO_SYSTEMD) from None
    return notify  # type: ignore[no-any-return]


def _log(options: argparse.Namespace) -> None:
    """Send the program's log through Open vSwitch's, with the levels and the file of the options."""
    import ovs.db.idl
    import ovs.dirs
    import ovs.stream
    import ovs.unixctl.server
    import ovs.vlog  # after its init() no module of the library that logs may be imported for the first time

    handler = _OvsLog(ovs.vlog.Vlog(ovs.util.PROGRAM_NAME))
    handler.setFormatter(log.LineFormatter())
    for level in options.verbose or ():
        error = ovs.vlog.Vlog.set_levels_from_string(level)
        if error:
            ovs.util.ovs_fatal(0, f"-v{level}: {error}")
    path = options.log_file
    if path == "":
        path = f"{ovs.dirs.LOGDIR}/{ovs.util.PROGRAM_NAME}.log"
    for destination in ovs.vlog.DESTINATIONS:
        # Open vSwitch's loggers are Python's: what they log must not come back through the root logger.
        logger = logging.getLogger(destination)
        logger.propagate = False
        logger.addHandler(logging.NullHandler())
    ovs.vlog.Vlog.init(path)
    logging.getLogger().setLevel(
        logging.DEBUG if any("dbg" in level for level in options.verbose or ()) else logging.INFO
    )
    logging.getLogger().addHandler(handler)


class _OvsLog(logging.Handler):
    """Send records to Open vSwitch's log."""

    def __init__(self, log: Any) -> None:
        super().__init__()
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        """Log one record."""
        getattr(self._log, LEVELS.get(record.levelno, "info"))(self.format(record))


def _serve_appctl() -> None:
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


def _exit(connection: Any, _arguments: object, _context: object) -> None:
    """Answer the command exit, and end the program."""
    connection.reply(None)
    os.kill(os.getpid(), signal.SIGTERM)
