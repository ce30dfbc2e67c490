# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Run a module with the Python of the host that has its libraries, as ``ansible.builtin.apt`` does.

Ansible takes the newest Python that it finds on a host. The distribution's packages of libraries are for the
distribution's own Python only.
"""

from __future__ import annotations

import contextlib
import fcntl
import importlib.util
import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Protocol

    class Respawn(Protocol):
        """What is used of ``ansible.module_utils.common.respawn``."""

        def has_respawned(self) -> bool:
            """Return whether this process is a second one already."""

        def probe_interpreters_for_module(self, interpreter_paths: Sequence[str], module_name: str) -> str | None:
            """Return the first interpreter that can ``import`` what is named."""

        def respawn_module(self, interpreter_path: str) -> None:
            """Run the module with another interpreter, and end this process."""


# Those that packages of distributions are for.
INTERPRETERS = ("/usr/bin/python3", "/usr/libexec/platform-python")
F_SETPIPE_SZ = 1031  # linux/fcntl.h; fcntl has it from Python 3.10 on
PIPE_SIZES = (1 << 24, 1 << 20)  # what root can have, and what every user can (/proc/sys/fs/pipe-max-size)


def with_libraries(respawn: Respawn, *libraries: str) -> None:
    """Run the module with an interpreter that has the libraries, if this one lacks some, and there is such a one.

    Without one that has more of them, the module goes on with this interpreter, and says which library is missing when
    it needs it.
    """
    missing = [library for library in libraries if importlib.util.find_spec(library) is None]
    # Only what Ansible has started can be started again: it knows the module's name and its arguments.
    if not missing or respawn.has_respawned() or not hasattr(sys.modules["__main__"], "_module_fqn"):
        return
    # By path: the Python of a virtual environment is a link to the distribution's, and has other libraries.
    others = [path for path in INTERPRETERS if path != sys.executable]
    # What this one has stays: a module that lacks another library then would only be worse off.
    present = [library for library in libraries if library not in missing]
    for needed in (libraries, *([library, *present] for library in missing)):
        path = respawn.probe_interpreters_for_module(others, ", ".join(needed))
        if path:
            with _roomy_pipes():
                respawn.respawn_module(path)


@contextlib.contextmanager
def _roomy_pipes() -> Iterator[None]:
    """Make pipes that take a large inventory's arguments.

    They go to the other interpreter through a pipe that is filled before anyone reads it: arguments beyond the usual 64
    KiB (pipe(7)) would wait for ever.
    """
    pipe = os.pipe

    def roomy_pipe() -> tuple[int, int]:
        read, write = pipe()
        for size in PIPE_SIZES:
            with contextlib.suppress(OSError):
                fcntl.fcntl(write, F_SETPIPE_SZ, size)
                break
        return read, write

    setattr(os, "pipe", roomy_pipe)  # noqa: B010 (a type checker refuses the assignment)
    try:
        yield
    finally:
        setattr(os, "pipe", pipe)  # noqa: B010
