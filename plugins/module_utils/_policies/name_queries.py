# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Ask name servers for the addresses of domain names (RFC 1035, RFC 3596).

Those of the host are asked, as ``/etc/resolv.conf`` names them, and not the cluster's: the cluster's may be pods, which
a master that is no node does not reach, and which policies may cut off. For names outside of the cluster it asks the
hosts' name servers itself (CoreDNS, plugin forward).
"""

from __future__ import annotations

import os
from typing import Any

from .domain_names import Answer, NoAnswer

RESOLV_CONF = "/etc/resolv.conf"
LIFETIME = 5.0  # seconds for all attempts of a question
NEGATIVE_TTL = 30.0  # seconds that "there are none" counts
TYPES = {4: "A", 6: "AAAA"}


class NameServers:
    """The name servers that a file names, which is read again when it changes.

    :param file: as resolv.conf(5).
    """

    def __init__(self, file: str = RESOLV_CONF) -> None:
        self._file = file
        self._stamp: tuple[int, int, int] | None = None
        self._resolver: Any = None

    async def ask(self, name: str, version: int) -> Answer:
        """Return the addresses of a name, with those of the names that it is an alias of.

        :raises NoAnswer: nobody has answered, or with an error; or the library is missing.
        """
        try:
            import dns.asyncresolver
            import dns.exception
            import dns.resolver
        except ImportError:
            raise NoAnswer("the Python library 'dns' is missing on this host: install python3-dnspython") from None
        try:
            resolver = self._current(dns.asyncresolver.Resolver)
            answer = await resolver.resolve(
                f"{name}.", TYPES[version], raise_on_no_answer=False, search=False, lifetime=LIFETIME
            )
        except dns.resolver.NXDOMAIN:
            return Answer((), NEGATIVE_TTL)
        except dns.resolver.NoNameservers:
            raise NoAnswer("all name servers fail") from None
        except dns.exception.Timeout:
            raise NoAnswer(f"no answer within {LIFETIME:.0f} s") from None
        except (dns.exception.DNSException, OSError, ValueError) as exc:
            raise NoAnswer(f"{type(exc).__name__}") from None
        if answer.rrset is None:
            return Answer((), NEGATIVE_TTL)
        # The least of the records' and of those of the aliases before them.
        return Answer(tuple(record.address for record in answer), answer.chaining_result.minimum_ttl)

    def _current(self, make: Any) -> Any:
        """Return the resolver for the file as it is now.

        :raises OSError: it can't be read.
        """
        found = os.stat(self._file)
        stamp = (found.st_mtime_ns, found.st_ino, found.st_size)
        if self._resolver is None or stamp != self._stamp:
            self._resolver, self._stamp = make(self._file), stamp
        return self._resolver
