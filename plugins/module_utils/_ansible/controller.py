# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What an action plugin tells its module beside the options, which are the users'. It goes with the environment of the
task, and holds no secret.

=============  ===================================================================================================
defer          what may cut the host off is left to the action plugin, which confirms it
phase          of a change of NICs: plan, begin, look or confirm
change_id      identity of that change
network        addresses and routes of a node that are confirmed as a change of NICs is, in place of one
=============  ===================================================================================================
"""

from __future__ import annotations

import base64
import json
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

VARIABLE = "OVN_KUBERNETES_CONTROLLER"


def environment(said: Mapping[str, Any]) -> dict[str, str]:
    """Return the environment that tells it. Ansible takes base64 for no template, and a shell for one word."""
    return {VARIABLE: base64.b64encode(json.dumps(said).encode()).decode()}


def said() -> dict[str, Any]:
    """Return what this module was told, as parameters: with an underscore before each name."""
    text = os.environ.get(VARIABLE, "")
    values: dict[str, Any] = json.loads(base64.b64decode(text)) if text else {}
    return {f"_{name}": value for name, value in values.items()}
