# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""The watcher and the node's server as a host runs them, which also say what they hold in memory.

After SIGUSR1 a program writes ``objects.json`` into its current directory: how many blocks of memory Python has handed
out, how many objects the garbage collector knows, and how many of each type. It empties its caches of results first:
each has a limit (tests/unit/test_layers.py), and a short run ends before they are full.
"""

from __future__ import annotations

import collections
import functools
import gc
import json
import os
import pathlib
import re
import signal
import sys

OBJECTS = "objects.json"
CACHE = type(functools.lru_cache(maxsize=1)(len))


def _count(_number, _frame):
    for cache in [one for one in gc.get_objects() if isinstance(one, CACHE)]:
        cache.cache_clear()
    re.purge()
    gc.collect()
    blocks, objects = sys.getallocatedblocks(), gc.get_objects()
    types = collections.Counter(f"{type(one).__module__}.{type(one).__qualname__}" for one in objects)
    found = {"blocks": blocks, "objects": len(objects), "types": dict(types)}
    del objects
    pathlib.Path(f"{OBJECTS}.new").write_text(json.dumps(found))
    os.replace(f"{OBJECTS}.new", OBJECTS)


def _run(main, arguments):
    directory, *rest = arguments
    os.chdir(directory)
    signal.signal(signal.SIGUSR1, _count)
    return main(rest)


def watcher(arguments):
    """Run ovn-k8s-watcher; the first argument is its directory."""
    from ansible_collections.ovn.kubernetes.plugins.module_utils._programs import watcher as program

    return _run(program.main, arguments)


def node(arguments):
    """Run ovn-k8s-node; the first argument is its directory."""
    import network_namespace

    from ansible_collections.ovn.kubernetes.plugins.module_utils._programs import node as program

    network_namespace.load_nftables()
    return _run(program.main, arguments)
