# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Quantities of Kubernetes, as ``resource.ParseQuantity`` of its apimachinery reads them."""

from __future__ import annotations

import math
import re
from fractions import Fraction

# A decimal suffix, a binary one, or an exponent. An "E" without digits is the suffix exa.
QUANTITY = re.compile(
    r"(?P<number>[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+))"
    r"(?:(?P<suffix>[numkMGTPE]|[KMGTPE]i)?|[eE](?P<exponent>[+-]?[0-9]+))"
)
FACTORS = {
    **{suffix: Fraction(10) ** (3 * power) for power, suffix in enumerate("num", -3)},
    **{suffix: Fraction(10) ** (3 * power) for power, suffix in enumerate("kMGTPE", 1)},
    **{f"{suffix}i": Fraction(2) ** (10 * power) for power, suffix in enumerate("KMGTPE", 1)},
}
LONGEST = 1024  # characters
# More changes nothing that a number of LONGEST characters means: it is beyond all limits, or it is nothing.
HIGHEST_EXPONENT = 2 * LONGEST


def quantity(text: str) -> int:
    """Return a quantity as a whole number, rounded up as ``Quantity.Value()`` does.

    :raises ValueError: it is none.
    """
    match = QUANTITY.fullmatch(text) if len(text) <= LONGEST else None
    if match is None:
        raise ValueError("it is no quantity")
    exponent = max(-HIGHEST_EXPONENT, min(int(match["exponent"] or 0), HIGHEST_EXPONENT))
    return math.ceil(Fraction(match["number"]) * FACTORS.get(match["suffix"], 1) * Fraction(10) ** exponent)
