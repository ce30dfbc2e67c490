# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What verify reports: one record for each thing that is wrong."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any

ERROR, WARNING = "error", "warning"
SITE = "site"  # a run of the site play mends it


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong.

    :ivar subject: what it is about, such as a unit or a file; rows are sorted by it.
    :ivar wrong: what is wrong, in a clause.
    :ivar causes: what does not work, or will not work, because of it.
    :ivar mend: the command, or the step, that mends it; :data:`SITE`: a run of the site play.
    :ivar severity: a warning is something that somebody should know, and that does not make verify fail.
    :ivar node: the node that it is about; empty: the host that found it.
    """

    subject: str
    wrong: str
    causes: str
    mend: str = SITE
    severity: str = ERROR
    node: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Return the finding for a module's result."""
        return asdict(self)
