# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The metric of certificates, which all resident programs have: how many days are left."""

from __future__ import annotations

import functools
import time
from typing import TYPE_CHECKING

from .._common import names
from .._common.certificates import texts, validity
from .._common.files import read_file

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

NAME = "ovn_kubernetes_certificate_days_left"
TEXT = "Days until the certificate in the file ends, the first of several; negative: it has ended"
FILES = (names.CHASSIS_PEM, names.CENTRAL_PEM, names.CENTRAL_CA, names.SOUTHBOUND_CA)


def days_left(path: str, now: float) -> float | None:
    """Return in how many days the first of a file's certificates ends; None: there is none that can be read."""
    try:
        content = read_file(path)
        ends = [validity(one).days_left(now) for one in texts(content.content)] if content else []
    except (OSError, ValueError):
        return None
    return min(ends, default=None)


class CertificateMetrics:
    """The files as they are when somebody asks, as a collector of prometheus_client."""

    def describe(self) -> Iterable[Any]:
        """Return nothing: the library asks for it instead of the values when the collector is registered."""
        return []

    def collect(self) -> Iterable[Any]:
        """Return the metric; nothing where no file is, as without TLS."""
        from prometheus_client.core import GaugeMetricFamily

        now = time.time()
        found = {path: days_left(path, now) for path in FILES}
        family = GaugeMetricFamily(NAME, TEXT, labels=("file",))
        for path, days in found.items():
            if days is not None:
                family.add_metric((path,), days)
        return [family] if family.samples else []


@functools.lru_cache(maxsize=1)  # of a process
def register(library: Any) -> None:
    """Add the metric to those of the program."""
    library.REGISTRY.register(CertificateMetrics())
