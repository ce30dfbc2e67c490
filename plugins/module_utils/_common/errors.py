# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""All errors of the collection, one tree. Each class has a code that results carry, so that nothing has to read the
text.

The text of an error is one sentence for the user. It says what is wrong, where, and what would be right.
"""

from __future__ import annotations


class OvnKubernetesError(Exception):
    """Base of all errors that are reported to the user.

    :cvar code: the machine-readable name of the error. Results carry it as ``error_code``. It is part of the interface
        and does not change.
    """

    code = "error"


class SettingsError(OvnKubernetesError, ValueError):
    """A setting can't work: an address, a subnet, an MTU, a name, or two settings that contradict each other.

    It is a ``ValueError`` too, so that a parser treats a bad address like any other text that it can't read.

    The text is ``SETTING VALUE PROBLEM: ADVICE``. A caller that knows the host and the variable composes its own from
    the parts.

    :ivar problem: what is wrong with the value, for example ``has host bits set``; without a value, the whole sentence.
    :ivar advice: what would be right, for example ``the network is 192.168.0.0/16``; may be empty.
    :ivar value: the value that is wrong; None when the problem names it.
    :ivar setting: the option, and the object that has it, for example ``physical_ip of gateway node1``; may be empty.
    """

    code = "invalid_settings"

    def __init__(self, problem: str, advice: str = "", value: object = None, setting: str = "") -> None:
        self.problem = problem
        self.advice = advice
        self.value = value
        self.setting = setting
        subject = [setting] if setting else []
        subject += [] if value is None else [repr(value)]
        super().__init__(" ".join([*subject, problem]) + (f": {advice}" if advice else ""))


class DatabaseError(OvnKubernetesError):
    """An OVSDB server refused the request, or its database holds rows that conflict with the desired ones."""

    code = "database"


class DatabaseUnreachable(DatabaseError):
    """No connection to any of the remotes, or none of them is the cluster's leader."""

    code = "database_unreachable"


class Disconnected(DatabaseError):
    """The connection ended before the reply came. The transaction may or may not have been committed."""

    code = "database_disconnected"


class Conflict(DatabaseError):
    """A ``wait`` operation found that the database has changed since it was read (RFC 7047, 5.2.6). Read and plan
    again.
    """

    code = "database_conflict"


class LockLost(DatabaseError):
    """The transaction asserts a lock that another client holds (RFC 7047, 5.2.10)."""

    code = "database_lock_lost"


class HostError(OvnKubernetesError):
    """This host can't be read, or can't be changed to the desired state."""

    code = "host"


class RollbackFailed(HostError):
    """A change failed, and a part of it could not be rolled back. The text names that part after the cause."""

    code = "rollback_failed"


class BridgeIncomplete(HostError):
    """The bridge of a shared NIC does not exist, or the NIC is not in it."""

    code = "bridge_incomplete"


class FlowError(OvnKubernetesError):
    """A bridge's OpenFlow flows can't be read or changed."""

    code = "openflow"


class KubernetesError(OvnKubernetesError):
    """The API server can't be used as required."""

    code = "kubernetes"


class ClientMissing(KubernetesError):
    """The Python library for requests to the API server is missing on this host."""

    code = "kubernetes_client_missing"


class APIUnreachable(KubernetesError):
    """The API server gave no answer, or the connection ended before it came. Try again."""

    code = "kubernetes_unreachable"


class APIRefused(KubernetesError):
    """The API server answered with an error.

    :ivar status: the HTTP status, for example 404.
    :ivar reason: the ``reason`` of the ``Status`` object, for example ``NotFound``.
    :ivar retry_after: seconds after which the API server wants to be asked again; 0: it does not say.
    """

    code = "kubernetes_refused"

    def __init__(self, text: str, status: int, reason: str = "", retry_after: float = 0.0) -> None:
        super().__init__(text)
        self.status = status
        self.reason = reason
        self.retry_after = retry_after
