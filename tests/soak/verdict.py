# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Whether all is as before: pure functions from the figures of each quarter to the lines of a table.

Memory may grow in the first half of a run, while buffers and caches fill; after that it must not. Of the daemons of
Open vSwitch and OVN, resident memory is shown and what they say that they hold is judged: the C library keeps what the
largest burst needed, and a busy machine makes larger ones. In short quarters the same holds for our own programs, whose
blocks of memory are counted: only much more resident memory is a fault there.
"""

from __future__ import annotations

from typing import NamedTuple

from figures import IN_PYTHON, Figures, differences

# Memory of one quarter, as a part of that of the quarter before. In short quarters one burst of work decides it.
MORE_MEMORY, MORE_IN_SHORT = 1.05, 1.5
NOISE = 2.0  # MiB by which the memory of a process changes without a reason
SHORT = 300.0  # seconds
# What a daemon may hold more after the last quarter than after the second; and for each neighbour that was learned in
# between: a row of MAC_Binding has 7 cells. Those have a line of their own, and short runs end before any is forgotten.
MORE_HELD, HELD_NOISE, HELD_PER_NEIGHBOUR = 1.05, 200, 10
# Blocks of memory that Python may hold more, for each object that came and went, and for what differs by chance.
BLOCKS_PER_OBJECT, BLOCKS = 0.2, 1000
LATE_ZONES = 3  # conntrack zones that ovn-controller has not taken away yet
OPEN_FILES = 3  # connections that differ by chance
# Bytes for each object of the last quarter, as a part of those of the second. Less than so many is no growth: a busy
# machine makes daemons say that they were late.
MORE_LOG, LITTLE_LOG = 1.5, 50
LOG_NOISE = 20_000  # bytes
NOT_OURS = ("kube-apiserver", "etcd")


class Quarter(NamedTuple):
    """What one quarter did, and what was there after it.

    :ivar objects: how many objects came.
    :ivar median, slow: seconds from a pod's creation to its interface: the median, and of the slowest hundredth.
    :ivar neighbours: how many neighbours OVN may know of.
    :ivar forgotten: flows that ovn-controller had forgotten to take away.
    """

    figures: Figures
    objects: int
    seconds: float
    median: float
    slow: float
    neighbours: int
    forgotten: int = 0


class Line(NamedTuple):
    """A line of the table. :ivar problem: why it is not as it should be; empty: it is, or it is not judged."""

    name: str
    values: tuple[str, ...]
    problem: str = ""


def lines(before: Figures, quarters: list[Quarter]) -> list[Line]:
    """All lines."""
    return [
        *_work(quarters),
        *_counts(before, quarters),
        *_memory(before, quarters),
        *_objects(before, quarters),
        *_held(before, quarters),
        *_files(before, quarters),
        *_logs(before, quarters),
        *_processor(before, quarters),
    ]


def _work(quarters):
    yield Line("objects that came", ("", *(str(one.objects) for one in quarters)))
    yield Line("objects a second", ("", *(f"{one.objects / one.seconds:.1f}" for one in quarters)))
    yield Line("pod to interface, median s", ("", *(f"{one.median:.2f}" for one in quarters)))
    yield Line("pod to interface, P99 s", ("", *(f"{one.slow:.2f}" for one in quarters)))


def _counts(before, quarters):
    groups = {"NB": "Northbound rows", "SB": "Southbound rows", "OVS": "Open_vSwitch rows"}
    every = [before.counts, *(one.figures.counts for one in quarters)]
    for name in dict.fromkeys(groups.get(key.split()[0], key) for counts in every for key in counts):
        some = [
            {key: value for key, value in counts.items() if groups.get(key.split()[0], key) == name} for counts in every
        ]
        problems = [text for now in some[1:] for text in differences(some[0], now)]
        yield Line(name, tuple(str(sum(one.values())) for one in some), "; ".join(dict.fromkeys(problems)))
    learned = [before.neighbours, *(one.figures.neighbours for one in quarters)]
    more = [one for one in quarters if one.figures.neighbours > one.neighbours]
    yield Line("flows that ovn-controller forgot", ("", *(str(one.forgotten) for one in quarters)))
    zones = [before.zones, *(one.figures.zones for one in quarters)]
    yield Line("keys of br-int", tuple(map(str, zones)), "more and more" if zones[-1] > zones[0] + LATE_ZONES else "")
    yield Line(
        "neighbours learned",
        tuple(map(str, learned)),
        f"at most {more[0].neighbours} pods were there in the time for which they are kept" if more else "",
    )


def _memory(before, quarters):
    more = MORE_IN_SHORT if quarters[-1].seconds < SHORT else MORE_MEMORY
    for name in before.memory:
        values = [before.memory[name], *(one.figures.memory[name] for one in quarters)]
        problem = ""
        for earlier, later in zip(values[2:], values[3:]):
            if name in IN_PYTHON and later > earlier * more + NOISE:
                problem = f"grew by {100 * (later / earlier - 1):.0f}% in a quarter"
        yield Line(f"memory of {name}, MiB", tuple(f"{value:.1f}" for value in values), problem)


def _objects(before, quarters):
    for name in IN_PYTHON:
        values = [before.objects[name]["blocks"], *(one.figures.objects[name]["blocks"] for one in quarters)]
        came = sum(one.objects for one in quarters[2:])
        grown, allowed = values[-1] - values[2], BLOCKS_PER_OBJECT * came + BLOCKS
        problem = f"{grown / max(came, 1):.1f} more for each object that came: {_grown(name, quarters)}"
        yield Line(f"blocks in {name}", tuple(map(str, values)), problem if grown > allowed else "")


def _held(before, quarters):
    learned = max(0, quarters[-1].figures.neighbours - quarters[1].figures.neighbours)
    allowed = HELD_NOISE + HELD_PER_NEIGHBOUR * learned
    for name in before.holds:
        every = [before.holds[name], *(one.figures.holds[name] for one in quarters)]
        problems = [
            f"{what}: {every[2].get(what, 0)} after the second quarter, {value} now"
            for what, value in every[-1].items()
            if value > every[2].get(what, 0) * MORE_HELD + allowed
        ]
        yield Line(f"{name} holds", tuple(str(sum(one.values())) for one in every), "; ".join(problems))


def _grown(name, quarters):
    """The types of which there are more than after the second quarter."""
    then, now = (quarters[index].figures.objects[name]["types"] for index in (1, -1))
    more = sorted(((count - then.get(key, 0), key) for key, count in now.items()), reverse=True)
    return ", ".join(f"{count} {key}" for count, key in more[:5] if count > 0)


def _files(before, quarters):
    for name in before.files:
        values = [before.files[name], *(one.figures.files[name] for one in quarters)]
        problem = "more and more" if name not in NOT_OURS and values[-1] > values[2] + OPEN_FILES else ""
        yield Line(f"open files of {name}", tuple(map(str, values)), problem)


def _logs(before, quarters):
    for name in before.logs:
        sizes = [before.logs[name], *(one.figures.logs[name] for one in quarters)]
        each = [(later - earlier) / max(one.objects, 1) for earlier, later, one in zip(sizes, sizes[1:], quarters)]
        more = (each[-1] - each[1] * MORE_LOG) * quarters[-1].objects
        yield Line(
            f"log of {name}, bytes an object",
            ("", *(f"{value:.0f}" for value in each)),
            "more and more" if more > LOG_NOISE and each[-1] > LITTLE_LOG else "",
        )


def _processor(before, quarters):
    for name in before.processor:
        used = [before.processor[name], *(one.figures.processor[name] for one in quarters)]
        each = [1000 * (later - earlier) / max(one.objects, 1) for earlier, later, one in zip(used, used[1:], quarters)]
        yield Line(f"processor of {name}, ms an object", ("", *(f"{value:.1f}" for value in each)))


def table(made: list[Line]) -> str:
    """The lines as text."""
    width = max(len(line.name) for line in made)
    head = "".join(f"{text:>11}" for text in ("before", "quarter 1", "quarter 2", "quarter 3", "quarter 4"))
    return "\n".join(
        [" " * width + head]
        + [
            f"{line.name:<{width}}"
            + "".join(f"{value:>11}" for value in line.values)
            + (f"  FAILED: {line.problem}" if line.problem else "")
            for line in made
        ]
    )
