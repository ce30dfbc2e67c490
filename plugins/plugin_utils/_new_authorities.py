# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whether authorities (CAs) can be made where the play runs, and stay there. Private to the collection."""

from __future__ import annotations

import os
from collections.abc import Collection, Sequence

from ._authorities import FOLDER, ROLES
from ._errors import show, show_path
from ._inventory import Inventory

JOBS = ("awx_job_id", "tower_job_id")  # extra variables that AWX and the automation controller give a job
CI = "CI"  # set in the environment of each job of GitLab CI and GitHub Actions, and of others


def refusal(inventory: Inventory, roles: Sequence[str], where: str, replaced: Collection[str] = ()) -> str:
    """Return why no authority of these roles can be made in a folder, as a sentence; empty: they can be.

    :param replaced: those of the roles that have one, which is to be replaced.
    :raises InventoryError: a variable can't be read.
    """
    existing = _nearest(where)
    if os.path.isdir(existing) and not os.access(existing, os.X_OK):
        return (
            f"{FOLDER} {show_path(where)} can't be read, since {show_path(existing)} is closed to the user of this "
            "run: run it as the owner of that folder, or give another one that has the CAs"
        )
    others = _files_of_others(where)
    if others:
        return (
            f"{FOLDER} {show_path(where)} has other files, such as {show(others[0])}: give a folder of its own, which "
            "the play closes to everybody else (mode 0700), and to git"
        )
    job = _job(inventory)
    missing = [role for role in roles if role not in replaced]
    if job and not missing:
        return (
            f"the {' and '.join(roles)} CA can't be replaced by a job of {job}, since what it writes is gone "
            f"afterwards: replace it where {FOLDER} is kept, or set that to a folder which is kept"
        )
    if job:
        kept = f", or set {FOLDER} to a folder that is kept" if job == CI else ""
        plain = ", or set ovn_tls to false" if inventory.tls else ""
        return (
            f"there is no {' and '.join(missing)} CA, and what a job of {job} writes is gone afterwards: make them "
            "once elsewhere with ovn.kubernetes.authority, and give ovn_tls_central_ca_certificate, "
            "ovn_tls_central_ca_key, ovn_tls_chassis_ca_certificate and ovn_tls_chassis_ca_key, the keys in a vault "
            f"or as credentials{kept}{plain}"
        )
    if not (os.path.isdir(existing) and os.access(existing, os.W_OK | os.X_OK)):
        return (
            f"{FOLDER} {show_path(where)} is where the CAs are made, and {show_path(existing)} is no folder that the "
            "user of this run can write into: give one that is, and is kept"
        )
    return ""


def _job(inventory: Inventory) -> str:
    """Return whose job runs the play, and loses what it writes; empty: nobody's."""
    if not (inventory.extra or frozenset()).isdisjoint(JOBS):
        return "AWX"
    # Who sets the folder has one that is kept.
    is_ci = os.environ.get(CI, "").lower() not in ("", "0", "false")
    return CI if is_ci and not inventory.cluster_value(FOLDER) else ""


def _files_of_others(where: str) -> list[str]:
    """Return files of a folder without any CA, but hidden ones."""
    try:
        files = sorted(os.listdir(where))
    except OSError:  # there is none yet
        return []
    ours = tuple(f"{role}-ca." for role in ROLES)
    return [] if any(one.startswith(ours) for one in files) else [one for one in files if not one.startswith(".")]


def _nearest(where: str) -> str:
    """Return the folder, or the nearest of those above it that is there."""
    while not os.path.lexists(where):
        where = os.path.dirname(where)
    return where
