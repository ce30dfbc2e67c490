# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Texts of a runtime, which may be anything: they are read with bounds."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from .errors import CniError, ErrorCode

DEEPEST = 100  # objects and lists within each other
SHOWN = 64  # characters of a value in an error


def shown(value: object) -> str:
    """Return a value for an error, as much of it as fits into a sentence."""
    text = ascii(value)
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}..."


def read_configuration(body: bytes) -> dict[str, Any]:
    """Return the network configuration. :raises CniError: it is no JSON object, or nested too deeply."""
    what = "the network configuration on the plugin's standard input"
    try:
        config = json.loads(body.decode() or "{}", parse_constant=_refuse)
        too_deep = _is_deeper(config, DEEPEST)
    except RecursionError:
        too_deep = True
    except ValueError as exc:
        raise CniError(ErrorCode.DECODING_FAILURE, f"{what} is not JSON", shown(str(exc))) from None
    if too_deep:
        raise CniError(ErrorCode.DECODING_FAILURE, f"{what} has more than {DEEPEST} objects and lists in each other")
    if not isinstance(config, dict):
        raise CniError(ErrorCode.DECODING_FAILURE, f"{what} is not a JSON object")
    return config


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no value of JSON")  # RFC 8259, section 6


def _is_deeper(value: object, most: int) -> bool:
    """Return whether there are more than so many objects and lists within each other."""
    level = [value]
    for _depth in range(most + 1):
        level = [child for one in level if isinstance(one, (dict, list)) for child in _children(one)]
        if not level:
            return False
    return True


def _children(value: dict[str, object] | list[object]) -> Iterable[object]:
    return value.values() if isinstance(value, dict) else value


def read_args(text: str) -> dict[str, str]:
    """Return ``A=1;B=2`` as a dictionary. :raises CniError: it is none."""
    pairs = [pair.partition("=") for pair in text.split(";") if pair]
    faults = [key + sign + value for key, sign, value in pairs if not sign or not key]
    if faults:
        raise CniError(
            ErrorCode.INVALID_ENVIRONMENT,
            f"CNI_ARGS has {shown(faults[0])}: it must be KEY=VALUE pairs with ; between them",
        )
    return {key: value for key, _sign, value in pairs}
