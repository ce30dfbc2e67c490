# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""The capabilities that a program's unit leaves it, for tests that run the program without systemd."""

from __future__ import annotations

import ctypes
import os
import pathlib
import re

ROOT = pathlib.Path(__file__).resolve().parents[2]
PR_SET_NO_NEW_PRIVS = 38  # linux/prctl.h


def capabilities(unit):
    """Return the capabilities in a unit's bounding set (systemd.exec(5)), by the name of its file."""
    (path,) = ROOT.glob(f"roles/*/files/{unit}")
    return re.search(r"^CapabilityBoundingSet=(.*)$", path.read_text(encoding="utf-8"), re.M)[1].split()


def confine(unit):
    """Give up what the unit does not leave, in this thread and in what it starts from now on.

    :raises OSError: this process has not all that the unit leaves.
    """
    library = ctypes.CDLL("libcap.so.2", use_errno=True)
    library.cap_from_text.restype = ctypes.c_void_p
    wanted = library.cap_from_text(f"{','.join(capabilities(unit))}=ep".encode())
    for failed in (
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0),
        library.cap_set_proc(ctypes.c_void_p(wanted)),
    ):
        if failed:
            raise OSError(ctypes.get_errno(), f"no rights of {unit}: {os.strerror(ctypes.get_errno())}")
