# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Steps that write files and kernel settings."""

from __future__ import annotations

import errno
import os
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from ..._common.files import FileContent, make_directory, remove_file, write_file
from ..sysctl import write_sysctl
from .base import Step

if TYPE_CHECKING:
    from ..._common.errors import HostError
    from .base import StepContext

OTHERS_MAY_READ = 0o004  # S_IROTH of inode(7)


@dataclass(frozen=True)
class SysctlStep(Step):
    """Set a kernel setting.

    :ivar parts_of_key: as :attr:`.desired.Sysctl.parts`.
    :ivar link: the link that the setting belongs to, None for the whole host.
    :ivar current: the value before the step. None: the setting does not exist yet.
    """

    key: str
    parts_of_key: tuple[str, ...]
    link: str | None
    value: str
    current: str | None

    def describe(self) -> str:
        old = "" if self.current is None else f"{self.current} -> "
        return f"sysctl {self.key}: {old}{self.value}"

    def as_dict(self) -> dict[str, Any]:
        return {"kind": "sysctl", "operation": "set", "key": self.key, "value": self.value}

    def before(self) -> list[str]:
        return [] if self.current is None else [f"sysctl {self.key} = {self.current}"]

    def after(self) -> list[str]:
        return [f"sysctl {self.key} = {self.value}"]

    def undo(self) -> SysctlStep | None:
        return None if self.current is None else replace(self, value=self.current, current=self.value)

    def apply(self, context: StepContext) -> bool:
        if self.link is not None:
            context.require_link(self.link)
        write_sysctl(self.parts_of_key, self.value)
        return True

    def failure(self, error: OSError | HostError) -> str:
        if isinstance(error, OSError) and error.errno == errno.ENOENT:
            return (
                f"{self.describe()} failed: this kernel has no such setting; "
                "correct its name or load the module that brings it"
            )
        return super().failure(error)


@dataclass(frozen=True)
class FileStep(Step):
    """Write a file, or remove it.

    :ivar desired: None: remove it.
    :ivar current: the file before the step. None: there is none.
    """

    path: str
    desired: FileContent | None
    current: FileContent | None = None

    @property
    def secret(self) -> bool:
        """Whether no plan may show its content."""
        return any(file is not None and not file.mode & OTHERS_MAY_READ for file in (self.desired, self.current))

    @property
    def _verb(self) -> str:
        if self.desired is None:
            return "remove"
        return "add" if self.current is None else "change"

    def describe(self) -> str:
        return f"file {self.path}: {self._verb}"

    def as_dict(self) -> dict[str, Any]:
        values = {"kind": "file", "operation": self._verb, "path": self.path}
        return values if self.desired is None else {**values, "mode": f"{self.desired.mode:04o}"}

    def _lines(self, file: FileContent | None) -> list[str]:
        if file is None:
            return []
        head = [f"file {self.path} mode {file.mode:04o}"]
        # Of a secret, only describe() shows that its content changes.
        if self.secret or "\0" in file.content:  # a program has no lines
            return head
        return head + [f"{self.path}: {line}" for line in file.content.splitlines()]

    def before(self) -> list[str]:
        return self._lines(self.current)

    def after(self) -> list[str]:
        return self._lines(self.desired)

    def undo(self) -> FileStep:
        return FileStep(self.path, self.current, self.desired)

    def apply(self, context: StepContext) -> bool:
        if self.desired is None:
            return remove_file(self.path)
        write_file(self.path, self.desired)
        return True


@dataclass(frozen=True)
class FolderStep(Step):
    """Remove a folder that is empty by then; one that is not stays."""

    path: str

    def describe(self) -> str:
        return f"folder {self.path}: remove"

    def as_dict(self) -> dict[str, Any]:
        return {"kind": "file", "operation": "remove", "path": self.path}

    def before(self) -> list[str]:
        return [f"folder {self.path}"]

    def after(self) -> list[str]:
        return []

    def undo(self) -> None:
        return None  # whoever writes a file makes its folder

    def apply(self, context: StepContext) -> bool:
        try:
            os.rmdir(self.path)
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.ENOENT):
                raise
            return False
        return True


@dataclass(frozen=True)
class NewFolderStep(Step):
    """Make a folder of root's that is not there yet."""

    path: str
    mode: int

    def describe(self) -> str:
        return f"folder {self.path}: add"

    def as_dict(self) -> dict[str, Any]:
        return {"kind": "folder", "operation": "add", "path": self.path, "mode": f"{self.mode:04o}"}

    def before(self) -> list[str]:
        return []

    def after(self) -> list[str]:
        return [f"folder {self.path} mode {self.mode:04o}"]

    def undo(self) -> None:
        return None

    def apply(self, context: StepContext) -> bool:
        make_directory(self.path)
        os.chmod(self.path, self.mode)
        return True


@dataclass(frozen=True)
class AccessStep(Step):
    """Give a file or a folder that is there its mode, and root as its owner.

    :ivar mode, owner: what it gets.
    :ivar current_mode, current_owner: what it has before the step.
    """

    path: str
    mode: int
    current_mode: int
    current_owner: int
    owner: int = 0

    def describe(self) -> str:
        return f"{self.path}: {_access(self.current_mode, self.current_owner)} -> {_access(self.mode, self.owner)}"

    def as_dict(self) -> dict[str, Any]:
        return {"kind": "file", "operation": "access", "path": self.path, "mode": f"{self.mode:04o}"}

    def before(self) -> list[str]:
        return [f"{self.path}: {_access(self.current_mode, self.current_owner)}"]

    def after(self) -> list[str]:
        return [f"{self.path}: {_access(self.mode, self.owner)}"]

    def undo(self) -> AccessStep:
        return AccessStep(self.path, self.current_mode, self.mode, self.owner, self.current_owner)

    def apply(self, context: StepContext) -> bool:
        os.chown(self.path, self.owner, -1)  # before the mode: it may take bits of the mode away, chown(2)
        os.chmod(self.path, self.mode)
        return True


def _access(mode: int, owner: int) -> str:
    return f"mode {mode:04o}, owner {owner}"
