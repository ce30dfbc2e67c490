# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Stands in for the get-pip script that ansible-test would download, where only a package index can be reached.

ansible-test runs it inside a new virtual environment without pip, with the packages to install as arguments. It runs
pip out of the wheel of its own version that tests/tools/sanity has put beside it.
"""

from __future__ import annotations

import os
import runpy
import sys

here, name = os.path.split(os.path.abspath(__file__))  # get_pip_24_2.py
version = os.path.splitext(name)[0].partition("get_pip_")[2].replace("_", ".")
wheel = os.path.join(here, f"pip-{version}-py3-none-any.whl")
packages = [word for word in sys.argv[1:] if word not in ("--no-setuptools", "--no-wheel")]
sys.path.insert(0, wheel)
sys.argv[1:] = ["install", "--quiet", *packages]
runpy.run_module("pip", run_name="__main__", alter_sys=True)
