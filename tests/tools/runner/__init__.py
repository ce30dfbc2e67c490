# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Run the steps of the tests beside each other and say how each one went.

steps      what a step is, and the groups that the command line knows
table      all steps
schedule   which step starts when
execute    run one step's command within its limit, and measure it
results    count tests, find out why something failed
report     what the run prints
"""
