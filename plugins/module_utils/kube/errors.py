# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What can go wrong with the API server; every text is one sentence: what, where, what to do."""

from __future__ import annotations


class KubernetesError(Exception):
    """The API server can't be used as asked."""


class Unreachable(KubernetesError):
    """No answer, or the connection ended before it came: try again."""


class Refused(KubernetesError):
    """The API server answered with an error.

    :ivar status: HTTP status, e.g. 404.
    :ivar reason: the machine's word for it, e.g. ``NotFound``.
    """

    def __init__(self, text, status, reason=""):
        super().__init__(text)
        self.status = status
        self.reason = reason
