# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How a module ends: with its results, or with one sentence and an error code. No Ansible in here: the module is a
parameter."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._common.errors import HostError, OvnKubernetesError, RollbackFailed
from .._common.result import Result
from .._host.advice import advice as advice_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from typing import Any, Protocol

    class Module(Protocol):
        """What is used of ``AnsibleModule``."""

        params: dict[str, Any]
        check_mode: bool
        _diff: bool

        def exit_json(self, **answer: Any) -> None:
            """End with success."""

        def fail_json(self, **answer: Any) -> None:
            """End with a failure."""

        def warn(self, text: str) -> None:
            """Show a warning beside the result."""


def exit_with_result(module: Module, work: Callable[[list[str]], Iterable[Result]]) -> None:
    """Run ``work(notes)`` and end the module with all of its results, or with the error that it raises.

    :param work: gets a list for sentences that the user should read, returns one result for each part of the call.
    """
    notes: list[str] = []
    results: list[Result] = []
    try:
        for result in work(notes):
            results.append(result)
    except (OvnKubernetesError, OSError) as exc:
        plan = _joined(results)
        # After a failed rollback something has changed, whatever the results of the other parts say.
        changed = bool(plan) or isinstance(exc, RollbackFailed)
        module.fail_json(**failure(exc), changed=changed and not module.check_mode, plan=_as_dicts(plan))
        return
    whole = Result(_joined(results))
    answer: dict[str, Any] = {"changed": whole.changed, "plan": _as_dicts(whole.plan)}
    for result in results:
        notes += result.notes
        answer.update(result.facts)
    if module._diff:
        answer["diff"] = whole.diff()
    for note in dict.fromkeys(notes):
        module.warn(note)
    module.exit_json(**answer)


def exit_with_facts(module: Module, read: Callable[[], Mapping[str, Any]], changed: bool = False) -> None:
    """End the module with what ``read()`` returns, or with the error that it raises."""
    try:
        facts = read()
    except (OvnKubernetesError, OSError) as exc:
        module.fail_json(**failure(exc))
        return
    module.exit_json(changed=changed, **facts)


def failure(error: Exception) -> dict[str, str]:
    """Return ``msg`` and ``error_code`` of a failed module. An error of the kernel counts as one of this host."""
    if isinstance(error, OSError):
        return {"msg": _kernel_error(error), "error_code": HostError.code}
    return {"msg": str(error), "error_code": getattr(error, "code", OvnKubernetesError.code)}


def _joined(results: Iterable[Result]) -> list[Any]:
    """Return the operations of several results, in order."""
    return [operation for result in results for operation in result.plan]


def _as_dicts(plan: Sequence[Any]) -> list[dict[str, Any]]:
    """Return a plan as RETURN documents it."""
    return [dict(operation.as_dict(), text=operation.describe()) for operation in plan]


def _kernel_error(error: OSError) -> str:
    """Return an error of the kernel as a sentence, with advice where there is some."""
    advice = advice_of(error.errno)
    subject = error.filename or "this host"
    reason = error.strerror or error
    return f"{subject} can't be read or changed: {reason}{f' ({advice})' if advice else ''}"
