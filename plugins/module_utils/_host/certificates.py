# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The host's own certificates and keys: what the controller may know of them, and the step that puts new ones in their
place. Keys never leave the host."""

from __future__ import annotations

import contextlib
import os
import stat
import tempfile
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .._common import names
from .._common.certificates import fits, texts
from .._common.errors import HostError
from .._common.files import FileContent, read_file
from .files import SECRET
from .steps.files import FileStep

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Any

    from .steps.base import Step

PAIRS = {"chassis": names.CHASSIS_PEM, "central": names.CENTRAL_PEM}  # key and certificate in one file
BUNDLES = {"central_ca": names.CENTRAL_CA, "southbound_ca": names.SOUTHBOUND_CA}
OTHERS = 0o077  # bits of a mode that let others in
LARGEST = 1 << 18  # characters of a file that counts


def read_certificates() -> dict[str, Any]:
    """Return what the host has, without any key.

    ``chassis`` and ``central``, where they are there, have the file's ``certificate``, whether the key in it ``fits``,
    and whether it is ``exposed``: not root's alone. ``central_ca`` and ``southbound_ca`` are the texts of the bundles.
    ``now`` is the host's clock, in seconds since the epoch.
    """
    found: dict[str, Any] = {"now": int(time.time())}
    for name, path in PAIRS.items():
        content = _read(path)
        if content is not None:
            certificate = "".join(texts(content.content))
            found[name] = {"certificate": certificate, "fits": fits(path, path), "exposed": _is_exposed(path)}
    for name, path in BUNDLES.items():
        content = _read(path)
        if content is not None:  # somebody may have put a key into it
            is_public = "PRIVATE KEY" not in content.content
            found[name] = content.content if is_public else "".join(texts(content.content))
    return found


def _read(path: str) -> FileContent | None:
    """Return a file; one that can't be read, or is too large, has no content."""
    try:
        content = read_file(path)
    except OSError:
        return FileContent("", 0)
    return content if content is None or len(content.content) <= LARGEST else FileContent("", content.mode)


def _is_exposed(path: str) -> bool:
    """Return whether others than root may read the file, or go into its folder and try."""
    for one in (path, os.path.dirname(path)):
        status = os.stat(one)
        if status.st_uid != 0 or stat.S_IMODE(status.st_mode) & OTHERS:
            return True
    return False


@dataclass(frozen=True)
class Issued:
    """A certificate that was just issued.

    :ivar path: of the file that has key and certificate.
    :ivar key: of the new key's file, which is removed.
    :ivar certificate: PEM text.
    """

    path: str
    key: str
    certificate: str


def join_steps(issued: Iterable[Issued]) -> Iterator[Step]:
    """Yield the steps after which key and certificate are together in one file, so that a reader sees both or neither
    change: by one rename.

    :raises HostError: they do not fit; nothing is touched.
    """
    for one in issued:
        key = read_file(one.key)
        current = read_file(one.path)
        if key is None:
            if current is not None and current.content.endswith(one.certificate):
                continue  # a run before this one was interrupted after its last step
            raise HostError(f"{one.key}, the key that the certificate for {one.path} was issued for, is gone")
        with _temporary(one) as certificate:
            if not fits(certificate, one.key):
                raise HostError(f"the certificate that was issued for {one.path} is not that of the key in {one.key}")
        yield FileStep(one.path, FileContent(f"{key.content.rstrip()}\n{one.certificate}", SECRET), current)
        yield FileStep(one.key, None, key)


@contextlib.contextmanager
def _temporary(issued: Issued) -> Iterator[str]:
    """Give the certificate a file for as long as it is needed."""
    with tempfile.NamedTemporaryFile("w", encoding="ascii", dir=os.path.dirname(issued.key), prefix=".issued.") as file:
        file.write(issued.certificate)
        file.flush()
        yield file.name
