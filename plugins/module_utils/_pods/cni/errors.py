# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Errors of the CNI specification (versions 1.0.0 and 1.1.0)."""

from __future__ import annotations

import enum


class ErrorCode(enum.IntEnum):
    """Error codes: section 5, "Error". From 100 on they are the plugin's own."""

    INCOMPATIBLE_VERSION = 1
    UNSUPPORTED_FIELD = 2
    UNKNOWN_CONTAINER = 3
    INVALID_ENVIRONMENT = 4
    IO_FAILURE = 5
    DECODING_FAILURE = 6
    INVALID_CONFIGURATION = 7
    TRY_AGAIN_LATER = 11
    NOT_AVAILABLE = 50  # of STATUS: ADD can't be served
    FAILED = 100
    DIFFERS = 101  # of CHECK: the interface is not as desired
    BAD_ANNOTATION = 102  # an annotation of the pod can't be used


class CniError(Exception):
    """The error that the runtime gets.

    :ivar msg: one sentence: what is wrong, where, what would be right.
    """

    def __init__(self, code: ErrorCode, msg: str, details: str = "") -> None:
        super().__init__(msg)
        self.code = code
        self.msg = msg
        self.details = details
