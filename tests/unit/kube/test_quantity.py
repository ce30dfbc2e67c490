# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects users' numbers: they mean what Kubernetes reads (resource.ParseQuantity of its apimachinery)."""

from __future__ import annotations

import pytest

from ansible_collections.ovn.kubernetes.plugins.module_utils._kube.quantity import quantity

# Each part of the grammar; the value is rounded up, as Quantity.Value() does.
NUMBERS = {
    "0": 0,
    "10": 10,
    "+10M": 10**7,
    "-2k": -2000,
    "007": 7,
    "5.": 5,
    ".5G": 5 * 10**8,
    "0.3M": 300_000,
    "1000.1": 1001,
    "1k": 10**3,
    "1T": 10**12,
    "1P": 10**15,
    "1E": 10**18,
    "1Ki": 2**10,
    "1.5Gi": 3 * 2**29,
    "1Ei": 2**60,
    "1e7": 10**7,
    "10E6": 10**7,
    "1E+6": 10**6,
    "1.25e-1": 1,
    "10000000000m": 10**7,
    "1001m": 2,
    "5u": 1,
    "1000000000000n": 1000,
}


@pytest.mark.parametrize(("text", "number"), NUMBERS.items())
def test_numbers(text, number):
    """Protects each way of writing a number, also those beyond the precision of a float."""
    assert quantity(text) == number


@pytest.mark.parametrize("text", ["1e999999999", "1E999999999", "9" * 1000 + "e" + "0" * 10 + "9" * 10])
def test_exponents_cost_nothing(text):
    """Protects the programs: a few characters of a user must not become gigabytes."""
    assert 10**1000 < quantity(text) < 10**4000 and quantity(text.lower().replace("e", "e-")) == 1


NONE = [
    "",
    " 1",
    "1 M",
    "e6",
    ".",
    "+",
    "--1",
    "1K",
    "1e",
    "1ee6",
    "1e6M",
    "1e1.5",
    "1Mi6",
    "1mi",
    "\u0661",
    "1_0",
    "1\n",
]


@pytest.mark.parametrize("text", [*NONE, "1" * 1025])
def test_what_is_none(text):
    """Protects users from a number that nobody else reads."""
    with pytest.raises(ValueError, match="no quantity"):
        quantity(text)
