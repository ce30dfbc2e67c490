# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# shellcheck shell=bash
#
# What is being done, for who waits: one line that changes on a terminal; in a log, which keeps all of them, a line now and then.

progress_pause=${PROGRESS_PAUSE:-30} # seconds between two lines of a log
progress_next=0

progress() {
    local text=${1##*$'\r'}
    if [ -t 1 ]; then
        printf '\r    %-100.100s' "$text"
    elif [ -n "$text" ] && [ "$SECONDS" -ge "$progress_next" ]; then
        printf '    %.100s\n' "$text"
        progress_next=$((SECONDS + progress_pause))
    fi
}

progress_ends() { if [ -t 1 ]; then printf '\r%-104s\r' ''; fi; }
