# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What was said about objects, by events and in the log: each thing once, until something else is to be said."""

from __future__ import annotations

import logging

from .reference import OnEvent, Reference


class Told:
    """What was said.

    :param on_event: writes a Kubernetes event.
    :param log: the program's.
    """

    def __init__(self, on_event: OnEvent, log: logging.Logger) -> None:
        self._on_event = on_event
        self._log = log
        self._told: dict[str, dict[str, str]] = {}  # key of an object -> reason -> message

    def tell(self, key: str, about: Reference, reason: str, message: str) -> None:
        """Say something where it is new. An empty message: there is nothing to say, and what was said is over."""
        told = self._told.setdefault(key, {})
        if message and told.get(reason) != message:
            self._log.warning("%s: %s", about, message)
            self._on_event(about, reason, message)
        told[reason] = message
        if not any(told.values()):
            del self._told[key]

    def keys(self) -> list[str]:
        """Return the keys of the objects of which something is said now."""
        return list(self._told)

    def forget(self, key: str) -> None:
        """Forget an object that was deleted."""
        self._told.pop(key, None)
