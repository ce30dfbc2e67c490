# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""dhclient, which ifupdown runs for a link: it is known by its process, and keeps what it knows in files of leases (dhclient.leases(5))."""

from __future__ import annotations

import json
import os
import re
import signal
import time

from ..._common import names
from ..._common.errors import HostError
from ..._common.files import FileContent, read_file, remove_file, write_file
from ..._common.systemd import run

FOLDER = "/var/lib/dhcp"
PATIENCE = 10.0  # seconds for a client to end, and for a lease
AGAIN = 0.5  # seconds until a client that has ended at once is started again


def clients(programs):
    """[(process, name, arguments), ...] of the programs with these names that run in this network namespace."""
    found = []
    own = os.readlink("/proc/self/ns/net")
    for number in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open("/proc/%s/comm" % number, encoding="utf-8", errors="replace") as stream:
                name = stream.read().strip()
            if name not in programs or os.readlink("/proc/%s/ns/net" % number) != own:
                continue
            with open("/proc/%s/cmdline" % number, "rb") as stream:
                found.append(
                    (
                        int(number),
                        name,
                        [word.decode("utf-8", "surrogateescape") for word in stream.read().split(b"\0")[:-1]],
                    )
                )
        except OSError:  # it has ended meanwhile
            continue
    return found


def serving(link):
    """The dhclients of a link."""
    return [(process, words) for process, _name, words in clients({"dhclient"}) if link in words]


def take_over(old, new):
    """Let a link's client serve another link, as the same client: with its leases, and without giving one back.

    How a client was started is known of the running process alone: it is noted until all serve again, so that whoever takes back a change
    that was cut off in between can start it.

    :returns: whether there was a client.
    """
    note = os.path.join(names.RUN_DIRECTORY, "dhclient-%s.json" % "-".join(sorted((old, new))))
    running = serving(old)
    commands = _noted(note, old)
    commands += [words for _process, words in running if words[1:] not in [known[1:] for known in commands]]
    if not commands:
        return False
    write_file(note, FileContent(json.dumps({"link": old, "commands": commands}) + "\n", 0o600))
    stop(old)
    for words in commands:
        arguments = [_renamed(word, old, new) for word in words[1:]]
        if arguments in [there[1:] for _process, there in serving(new)]:
            continue
        for word in words:
            if word.startswith(FOLDER + "/") and old in word and new != old:
                _take_leases(word, old, new)
        _start([os.path.realpath("/sbin/dhclient" if words[0] == "dhclient" else words[0]), *arguments], new)
    remove_file(note)
    return True


def start_again(link):
    """Let a link's client begin anew, with what it knows: the one that runs hears nothing when the link is another than the one that it began with."""
    take_over(link, link)


def _noted(note, link):
    """Command lines that somebody was about to start when he was cut off, as they would be for the link."""
    file = read_file(note)
    if file is None:
        return []
    try:
        kept = json.loads(file.content)
        return [[_renamed(word, kept["link"], link) for word in words] for words in kept["commands"]]
    except (KeyError, TypeError, ValueError):
        raise HostError("%s can't be read: start dhclient for the NIC by hand, and remove the file" % note) from None


def _take_leases(path, old, new):
    """The leases and the client's DUID, for the other link; the old file goes, so that it is not found later, out of date."""
    file = read_file(path)
    if file is None:
        return
    content = re.sub(r'interface "%s";' % re.escape(old), 'interface "%s";' % new, file.content)
    write_file(_renamed(path, old, new), FileContent(content, file.mode))
    remove_file(path)


def _renamed(word, old, new):
    return re.sub(r"(?<![\w-])%s(?![\w-])" % re.escape(old), new, word)


def _end(process):
    """SIGTERM ends dhclient; it keeps its lease then."""
    try:
        os.kill(process, signal.SIGTERM)
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until:
            os.kill(process, 0)
            time.sleep(0.02)
    except ProcessLookupError:
        return
    raise HostError("dhclient (process %d) does not end: end it by hand (kill %d)" % (process, process))


def stop(link):
    """End a link's clients, and wait for the scripts that they began; they keep their leases."""
    until = time.monotonic() + PATIENCE
    while serving(link) or _has_script(link):
        for process, _words in serving(link):
            _end(process)
        if time.monotonic() > until:
            raise HostError("a dhclient-script for %s does not end: end it by hand (pkill dhclient-script)" % link)
        time.sleep(0.02)


def _has_script(link):
    """Whether a client's script may still change the link: it is told the link's name by its environment (dhclient-script(8))."""
    for process, _name, _words in clients({"dhclient-script"}):
        try:
            with open("/proc/%d/environ" % process, "rb") as stream:
                if b"interface=%s" % link.encode() in stream.read().split(b"\0"):
                    return True
        except OSError:  # it has ended meanwhile
            continue
    return False


def _start(command, link):
    """By systemd, so that it stays when whoever asked for it has gone; it goes to the background once it has its lease.

    It ends at once where the port of DHCP is taken: a script that the client before it ran may have that for a moment longer than the client.
    """
    unit = "ovn-k8s-dhclient-%s-%d.service" % (link, 6 if "-6" in command else 4)
    until = time.monotonic() + PATIENCE
    while True:
        if not run(unit, "DHCP client of " + link, command, PATIENCE, "forking"):
            raise HostError("dhclient got no lease for %s in %d seconds: look at the DHCP server" % (link, PATIENCE))
        if serving(link):
            return
        if time.monotonic() > until:
            raise HostError("dhclient does not run for %s: look at its log (journalctl -u %s)" % (link, unit))
        time.sleep(AGAIN)
