# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Advice for errors of the kernel whose own text does not say what to do."""

from __future__ import annotations

import errno

_RUN_AS_ROOT = "run as root"
_NEXT_HOP = "the next hop must be in a network of the link: give the link an address in that network"
_ADVICE = {
    errno.EPERM: _RUN_AS_ROOT,
    errno.EACCES: _RUN_AS_ROOT,
    errno.EBUSY: "something else holds it: set the link down first",
    errno.EINVAL: "the kernel does not take these values",
    errno.ENOSPC: "there is no space left: free some",
    errno.EOPNOTSUPP: "the kernel or the driver can't do it",
    errno.ENETUNREACH: _NEXT_HOP,
    errno.EHOSTUNREACH: _NEXT_HOP,
}


def advice(number: int | None) -> str | None:
    """Return what to do about an errno, None when there is no advice."""
    return None if number is None else _ADVICE.get(number)
