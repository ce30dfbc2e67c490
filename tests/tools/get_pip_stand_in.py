# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Stands in for the get-pip script that ansible-test would download, where only a package index can be reached.

ansible-test runs it inside a new virtual environment without pip, with the packages to install as arguments. It runs
pip out of the wheel that tests/tools/sanity has put beside it.
"""

from __future__ import annotations

import glob
import os
import runpy
import sys

wheel = glob.glob(os.path.join(os.path.dirname(os.path.abspath(__file__)), "pip-*.whl"))[0]
packages = [word for word in sys.argv[1:] if word not in ("--no-setuptools", "--no-wheel")]
sys.path.insert(0, wheel)
sys.argv[1:] = ["install", "--quiet", *packages]
runpy.run_module("pip", run_name="__main__", alter_sys=True)
