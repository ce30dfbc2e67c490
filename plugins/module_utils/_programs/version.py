# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The option --version that each program has."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._common.version import VERSION

if TYPE_CHECKING:
    import argparse


def add_option(parser: argparse.ArgumentParser) -> None:
    """Add --version, which prints the program's name and the collection's version, and ends."""
    parser.add_argument("--version", action="version", version=f"{parser.prog} {VERSION}", help="show it, and exit")
