# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""netplan. It configures no NIC itself: at boot it writes files for systemd-networkd or NetworkManager, whose classes
move the NIC.

Its own files stay as they are, since those of the bridge sort before what it writes (``10-netplan-NIC.network``). One
thing is left: it makes the boot wait until the NICs that it names are online, and a NIC without addresses never is.
"""

from __future__ import annotations

import glob
import re

from ..._common.files import read_file
from ..._host.desired import File

# Drop-ins that netplan writes at boot.
WAIT_ONLINE_DROPINS = "/run/systemd/system/systemd-networkd-wait-online.service.d/*.conf"
# Without arguments the program waits for all links that networkd configures, except those with RequiredForOnline=no.
WAIT_ONLINE = """\
# Part of the Ansible collection ovn.kubernetes: {nic} is a port of {bridge} and has no addresses, \
so that a boot must not wait for it.
[Service]
ExecStart=
ExecStart=/lib/systemd/systemd-networkd-wait-online
"""


def is_awaited(nic: str) -> bool:
    """Return whether a boot waits until this very NIC is online."""
    files = [read_file(path) for path in glob.glob(WAIT_ONLINE_DROPINS)]
    names_nic = re.compile(rf"^ExecStart=.*\s{re.escape(nic)}(:|\s|$)", re.M)
    return any(file is not None and names_nic.search(file.content) for file in files)


def wait_online_file(nic: str, bridge: str) -> File:
    """Return the drop-in by which a boot waits for the links with addresses only."""
    return File(
        f"/etc/systemd/system/systemd-networkd-wait-online.service.d/20-ovn-kubernetes-{nic}.conf",
        WAIT_ONLINE.format(nic=nic, bridge=bridge),
    )
