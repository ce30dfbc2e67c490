# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whether this kernel knows SCTP; many are built without it, or leave the module out."""

from __future__ import annotations

import os
import re

CONNTRACK = "/proc/sys/net/netfilter"  # settings of connection tracking, once it is in use
SETTING = "nf_conntrack_sctp_timeout_established"  # with CONFIG_NF_CT_PROTO_SCTP (nf_conntrack-sysctl.rst)
PROTOCOLS = "/proc/net/protocols"
MODULES = "/lib/modules"


def missing() -> str:
    """Return what this kernel lacks for SCTP, in words; empty: nothing. No module is loaded for the answer."""
    if os.path.isdir(CONNTRACK) and not os.path.exists(os.path.join(CONNTRACK, SETTING)):
        return "connection tracking of SCTP (CONFIG_NF_CT_PROTO_SCTP)"
    if re.search(r"(?m)^SCTP", _text(PROTOCOLS)):
        return ""
    folder = os.path.join(MODULES, os.uname().release)
    if any("/sctp.ko" in _text(os.path.join(folder, file)) for file in ("modules.dep", "modules.builtin")):
        return ""
    return "the module sctp, without which no program can listen"


def _text(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""
