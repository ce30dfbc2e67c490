# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""An administrator's client for the length of one call; what its credential needs in files is gone afterwards."""

from __future__ import annotations

import contextlib
import os
import tempfile

from .client import Client
from .settings import Settings


@contextlib.asynccontextmanager
async def administrator(params):
    """A client with the credential in a module's options, which are those of :data:`._ansible.argument_spec.KUBERNETES_ADMINISTRATOR`."""
    with tempfile.TemporaryDirectory(prefix="ovn-kubernetes-") as folder:  # for its owner alone

        def file(option):
            if not params[option]:
                return None
            path = os.path.join(folder, option)
            with open(path, "w", encoding="utf-8") as out:
                out.write(params[option].strip() + "\n")
            return path

        settings = Settings(
            params["server"], file("ca"), file("token"), certificate_file=file("certificate"), key_file=file("key")
        )
        client = Client(settings, agent="ovn.kubernetes")
        try:
            yield client
        finally:
            await client.close()
