# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Clients with an administrator's credential, for one call of a module."""

from __future__ import annotations

import asyncio
import contextlib
import os
import tempfile
from typing import TYPE_CHECKING

from .._common.errors import APIRefused, KubernetesError
from .client import Client
from .servers import CANNOT_SERVE
from .settings import Settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from typing import Any

TIMEOUT = 15.0
PATIENCE = 5.0  # seconds for an API server that may not be there
MEMORY = "/run"  # a file system without a disk, hier(7): a credential of a call that is killed is gone at the next boot


@contextlib.asynccontextmanager
async def administrator(params: Mapping[str, Any], timeout: float = TIMEOUT) -> AsyncIterator[Client]:
    """Yield a client; its credential is in files in memory that only this user can read, and that are removed at last.

    :param params: a module's options, those of :data:`._ansible.argument_spec.KUBERNETES_ADMINISTRATOR`.
    :param timeout: seconds for a reply.
    :raises KubernetesError: the credential can't be used.
    """
    place = MEMORY if os.access(MEMORY, os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="ovn-kubernetes-", dir=place) as folder:

        def file(option: str) -> str | None:
            if not params[option]:
                return None
            path = os.path.join(folder, option)
            handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            with open(handle, "w", encoding="utf-8") as out:
                out.write(params[option].strip() + "\n")
            return path

        settings = Settings(
            params["server"], file("ca"), file("token"), certificate_file=file("certificate"), key_file=file("key")
        )
        client = Client(settings, agent="ovn.kubernetes", timeout=timeout)
        try:
            yield client
        finally:
            await client.close()


async def unready(params: Mapping[str, Any]) -> dict[str, str]:
    """Ask each of several API servers whether it can serve; return those that can't, URL -> why. One alone is not
    asked.

    :param params: as of :func:`administrator`.
    """
    servers = Settings(params["server"]).servers

    async def problem(server: str) -> str:
        try:
            async with administrator({**params, "server": server}, PATIENCE) as client:
                await client.ready()
        except APIRefused as exc:
            is_ready = exc.status not in CANNOT_SERVE
            return "" if is_ready else f"the API server {server} can't serve: its /readyz says {exc.status}"
        except KubernetesError as exc:
            return str(exc)
        return ""

    problems = await asyncio.gather(*map(problem, servers)) if len(servers) > 1 else ()
    return {server: found for server, found in zip(servers, problems) if found}
