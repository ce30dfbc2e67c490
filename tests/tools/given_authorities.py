# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""CAs as users give them: in variables, or as files of the folder."""

from __future__ import annotations

import authorities

CENTRAL, CHASSIS, OTHER = (authorities.authority(name) for name in ("central", "chassis", "other"))
BELOW = authorities.authority("below", by=CENTRAL)


def variables(central=CENTRAL, chassis=CHASSIS, **more):
    both = {"central": central, "chassis": chassis}
    given = {f"ovn_tls_{role}_ca_certificate": one.certificate for role, one in both.items()}
    given.update({f"ovn_tls_{role}_ca_key": one.key for role, one in both.items()})
    return {**given, **more}


FILES = {
    "central-ca.crt": CENTRAL.certificate,
    "central-ca.key": CENTRAL.key,
    "chassis-ca.crt": CHASSIS.certificate,
    "chassis-ca.key": CHASSIS.key,
}
