# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Objects of somebody who wants to do harm (tests/tools/hostile_objects.py), in a namespace of their own."""

from __future__ import annotations

from hostile_objects import Hostile

NAMESPACE = "hostile"
LIVING = 10  # objects at the same time
EVERY = 10  # turns: large objects take longer than others


class HostileLives:
    """The objects of one thread."""

    def __init__(self, overlay, chance, number, churn, addresses):
        api = overlay.kubernetes.client()
        self._hostile = Hostile(api, chance.random(), NAMESPACE)
        self._churn, self._turns, self._living = churn, 0, []

    def turn(self):
        """Now and then an object comes and another one changes; when there are enough, one goes."""
        self._turns += 1
        if self._turns % EVERY:
            return
        made = self._hostile.make()
        if made:
            self._living.append(made)
            self._churn.done["hostile objects"] += 1
        if self._living:
            self._hostile.change(self._hostile.chance.choice(self._living))
        if len(self._living) > LIVING:
            self._hostile.delete(self._living.pop(0))

    def end(self):
        """All of them go."""
        while self._living:
            self._hostile.delete(self._living.pop())
