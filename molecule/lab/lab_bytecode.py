# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Keep the bytecode of modules in ZIP archives, as Python does for modules in folders.

Ansible sends each module as a new archive of source files, and Python compiles all of them at each task: half of what a
task costs a host. What is kept is found by the source itself, so nothing changes but the time.
"""

from __future__ import annotations

import _imp
import marshal
import os
import sys
import zipimport

FOLDER = "/var/cache/lab-bytecode"  # hosts of a lab may share it
KEY = 0x6F766E6B  # of the hash (SipHash), any number
_compile = zipimport._compile_source


def _compile_source(path, source):
    """Compile a module, or take the code that the same source gave before."""
    kept = os.path.join(FOLDER, f"{sys.implementation.cache_tag}-{_imp.source_hash(KEY, source).hex()}-{len(source)}")
    try:
        with open(kept, "rb") as stream:
            code = marshal.loads(stream.read())
        _imp._fix_co_filename(code, path)
        return code
    except (OSError, EOFError, ValueError, TypeError):
        pass
    code = _compile(path, source)
    try:
        part = f"{kept}.{os.uname().nodename}.{os.getpid()}"
        with open(part, "wb") as stream:
            stream.write(marshal.dumps(code))
        os.rename(part, kept)
    except OSError:  # a service that may not write there
        pass
    return code


zipimport._compile_source = _compile_source
