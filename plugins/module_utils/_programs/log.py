# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How programs that units start log: to their error output, which is the journal, from the level on that the host's
settings say (``ovn_log_level`` of the inventory; :data:`.._common.names.LOG_SETTINGS` has it for the units).
"""

from __future__ import annotations

import logging
import os

from .._common import names

LOG = logging.getLogger("ovn-kubernetes")
LEVELS = {"error": logging.ERROR, "warning": logging.WARNING, "info": logging.INFO, "debug": logging.DEBUG}
PRIORITIES = ((logging.ERROR, 3), (logging.WARNING, 4), (logging.INFO, 6))  # level -> syslog(3)'s priority
DEBUG_PRIORITY = 7


def begin() -> None:
    """Begin to log; nothing where the program logs already."""
    given = os.environ.get(names.LOG_LEVEL, "") or "info"
    handler = logging.StreamHandler()
    handler.setFormatter(JournalFormatter() if _is_journal() else LineFormatter())
    logging.basicConfig(level=LEVELS.get(given, logging.INFO), handlers=[handler])
    if given not in LEVELS:
        LOG.warning("%s is %s, and info is taken: write one of %s", names.LOG_LEVEL, given, ", ".join(LEVELS))


def _is_journal() -> bool:
    """Return whether the error output is the journal's (JOURNAL_STREAM in systemd.exec(5))."""
    try:
        found = os.fstat(2)
    except OSError:
        return False
    return os.environ.get("JOURNAL_STREAM") == f"{found.st_dev}:{found.st_ino}"


class LineFormatter(logging.Formatter):
    """Make one line of each message. Users' texts come with errors of the API server: none of them may look like
    another line, or move a terminal's cursor."""

    def formatMessage(self, record: logging.LogRecord) -> str:
        """Return the message with escapes in the place of what can't be printed."""
        text = super().formatMessage(record)
        return text if text.isprintable() else "".join(one if one.isprintable() else ascii(one)[1:-1] for one in text)


class JournalFormatter(LineFormatter):
    """Begin each line with its priority, as sd-daemon(3) has it, so that ``journalctl -p warning`` finds it."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the lines of a record."""
        priority = next((number for level, number in PRIORITIES if record.levelno >= level), DEBUG_PRIORITY)
        return "\n".join(f"<{priority}>{line}" for line in super().format(record).splitlines())
