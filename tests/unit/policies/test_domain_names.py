# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
"""Protects the addresses of domain names in policies: how long they stay, and what a name server can't do with them."""

from __future__ import annotations

import asyncio

import pytest

from ansible_collections.ovn.kubernetes.plugins.module_utils._common.tasks import end
from ansible_collections.ovn.kubernetes.plugins.module_utils._policies import domain_names
from ansible_collections.ovn.kubernetes.plugins.module_utils._policies.domain_names import (
    Answer,
    DomainNames,
    NoAnswer,
    parse,
)
from ansible_collections.ovn.kubernetes.plugins.module_utils._policies.selectors import Unreadable

NAME = "www.example.com"


class World:
    """Names with a clock and a name server of their own."""

    def __init__(self):
        self.now = 1000.0
        self.answers = {}  # (name, version) -> what the server says
        self.asked, self.changed = [], []
        self.is_active = True
        self.names = DomainNames(
            self._ask,
            self.changed.append,
            lambda: self.is_active,
            lambda address: address.startswith("10."),
            lambda: self.now,
        )

    async def _ask(self, name, version):
        self.asked.append((name, version))
        found = self.answers.get((name, version), Answer((), 30))
        if isinstance(found, str):
            raise NoAnswer(found)
        return found

    async def pass_time(self, seconds=0.0):
        """Let time pass, and all that is due happen."""
        self.now += seconds
        self.names._step()
        while self.names._questions:
            await asyncio.gather(*self.names._questions)
            await asyncio.sleep(0)
            self.names._step()

    def has(self):
        """The addresses of the name."""
        return list(self.names.addresses(NAME))


def run(test):
    """Run a test with a world."""

    async def main():
        world = World()
        await test(world)

    asyncio.run(main())


@pytest.mark.parametrize(
    "text",
    [
        "",
        ".",
        "*.example.com",
        "*",
        "a..b",
        "-a.com",
        "a-.com",
        "a b.com",
        "x" * 64 + ".com",
        "a." * 130 + "b",
        'a"||1',
        "192.0.2.1",
        "bücher.example",
        7,
        None,
    ],
)
def test_no_names(text):
    """Protects matches and logs from what is no name, and users of wildcards from a rule that does nothing."""
    with pytest.raises(Unreadable):
        parse(text)


def test_names():
    """Protects a name from having two forms."""
    assert parse("WWW.Example.COM.") == parse(NAME) == NAME
    assert parse("_service.example.com") == "_service.example.com"


def test_time_to_live():
    """Protects what pods reach: an address is asked for again after its time, and one that a newer answer lacks stays
    as long as pods may have it from a cache, and no longer.
    """

    async def test(world):
        world.answers[NAME, 4] = Answer(("192.0.2.1", "192.0.2.2"), 100)
        assert world.names.use(NAME, "a")
        await world.pass_time()
        assert world.has() == ["192.0.2.1", "192.0.2.2"] and world.changed == [NAME, NAME]
        world.asked.clear()
        world.answers[NAME, 4] = Answer(("192.0.2.2", "192.0.2.3"), 100)
        await world.pass_time(99)
        assert (NAME, 4) not in world.asked
        await world.pass_time(1)
        assert (NAME, 4) in world.asked
        assert world.has() == ["192.0.2.1", "192.0.2.2", "192.0.2.3"]
        await world.pass_time(domain_names.LINGER - 1)
        assert "192.0.2.1" in world.has()
        await world.pass_time(1)
        assert world.has() == ["192.0.2.2", "192.0.2.3"]
        world.answers[NAME, 4] = Answer((), 30)  # an answer without addresses is one
        await world.pass_time(100 - domain_names.LINGER)
        assert world.has() == ["192.0.2.2", "192.0.2.3"]
        await world.pass_time(domain_names.LINGER)
        assert world.has() == []

    run(test)


def test_no_answer():
    """Protects pods from an outage of name servers: addresses stay for an hour, and a new answer counts at once."""

    async def test(world):
        world.answers[NAME, 4] = Answer(("192.0.2.1",), 30)
        world.names.use(NAME, "a")
        await world.pass_time()
        world.answers[NAME, 4] = "all name servers fail"
        await world.pass_time(30)
        assert "all name servers fail" in world.names.problem(NAME)
        for _n in range(58):
            await world.pass_time(60)
            assert world.has() == ["192.0.2.1"]
        world.answers[NAME, 4] = Answer(("192.0.2.9",), 30)
        await world.pass_time(60)
        assert world.has() == ["192.0.2.1", "192.0.2.9"] and world.names.problem(NAME) == ""
        await world.pass_time(domain_names.LINGER)
        assert world.has() == ["192.0.2.9"]
        world.answers[NAME, 4] = "no answer"
        world.asked.clear()
        for _n in range(62):
            await world.pass_time(60)
        assert world.has() == [] and len([one for one in world.asked if one[1] == 4]) <= 63

    run(test)


def test_restart():
    """Protects pods from a restart of the watcher: what the database has stays until there is an answer."""

    async def test(world):
        world.answers[NAME, 4] = "no answer"
        world.names.use(NAME, "a", ["192.0.2.1", "fd77::1"])
        await world.pass_time()
        assert world.has() == ["192.0.2.1", "fd77::1"] and not world.names.is_known(NAME)
        await world.pass_time(domain_names.LINGER)
        assert world.has() == ["192.0.2.1"]
        world.answers[NAME, 4] = Answer(("192.0.2.2",), 30)
        await world.pass_time(30)
        await world.pass_time(domain_names.LINGER)
        assert world.has() == ["192.0.2.2"] and world.names.is_known(NAME)
        world.names.begin(lambda _name: ["192.0.2.7"])  # another watcher has acted meanwhile
        assert world.has() == ["192.0.2.7"]

    run(test)


def test_hostile_answers():
    """Protects the cluster from whoever serves a name: addresses of its own networks, of hosts themselves and of other
    families don't count, nor do thousands, and answers that are over at once are not asked for at once.
    """

    async def test(world):
        inside = ("10.0.0.1", "127.0.0.1", "169.254.169.254", "224.0.0.1", "0.0.0.0", "255.255.255.255", "192.0.2.300")
        world.answers[NAME, 4] = Answer((*inside, "fd77::1", "192.0.2.1"), 0)
        world.answers[NAME, 6] = Answer(("::1", "::", "fe80::1", "ff02::1", "::ffff:192.0.2.1", "192.0.2.1"), 1e9)
        world.names.use(NAME, "a")
        await world.pass_time()
        assert world.has() == ["192.0.2.1"] and "outside" in world.names.problem(NAME)
        world.asked.clear()
        await world.pass_time(domain_names.SHORTEST - 1)
        assert world.asked == []
        many = [f"198.51.{n // 250}.{n % 250 + 1}" for n in range(4000)]
        world.answers[NAME, 4] = Answer(("192.0.2.1", *many), 0)
        await world.pass_time(1)
        first = world.has()
        assert len(first) == domain_names.MAXIMUM_ADDRESSES and "192.0.2.1" in first
        assert "more than 100" in world.names.problem(NAME)
        world.answers[NAME, 4] = Answer((*reversed(many), "192.0.2.1"), 0)
        await world.pass_time(domain_names.SHORTEST)
        assert world.has() == first
        world.answers[NAME, 4] = Answer(tuple(f"203.0.113.{n}" for n in range(1, 90)), 0)
        await world.pass_time(domain_names.SHORTEST)
        assert len(world.has()) == domain_names.MAXIMUM_ADDRESSES
        assert sum(one.startswith("203.") for one in world.has()) == 89
        world.asked.clear()
        await world.pass_time(domain_names.LONGEST)
        assert (NAME, 6) in world.asked

    run(test)


def test_names_are_bounded_and_forgotten():
    """Protects memory and name servers: names have a limit, and one without policies is not asked for any more."""

    async def test(world):
        for number in range(domain_names.MAXIMUM_NAMES):
            assert world.names.use(f"n{number}.example.com", "a")
        assert not world.names.use("more.example.com", "a")
        assert world.names.use("n7.example.com", "b")
        await world.pass_time()
        assert len(world.asked) == 2 * domain_names.MAXIMUM_NAMES
        world.asked.clear()
        for _n in range(60):
            await world.pass_time(1)
        assert len(world.asked) <= 60 * domain_names.MOST_QUESTIONS
        for number in range(domain_names.MAXIMUM_NAMES):
            world.names.release(f"n{number}.example.com", "a")
        assert world.names.names() == ["n7.example.com"] and len(world.names._sides) == 2
        world.asked.clear()
        await world.pass_time(200)
        assert {name for name, _version in world.asked} == {"n7.example.com"}
        assert world.names.use("more.example.com", "a")

    run(test)


def test_only_who_acts_asks():
    """Protects name servers from all masters at once, and the loop from ending without a question."""

    async def test(world):
        world.is_active = False
        world.answers[NAME, 4] = Answer(("192.0.2.1",), 30)
        world.names.use(NAME, "a")
        work = asyncio.create_task(world.names.run())
        await asyncio.sleep(0.01)
        assert world.asked == []
        world.is_active = True
        world.names.begin(lambda _name: ())
        while not world.has():
            await asyncio.sleep(0)
        await end([work])

    run(test)


class Silence(World):
    """Names of which some have servers that don't answer within 5 s."""

    def __init__(self):
        super().__init__()
        self.most = 0

    async def _ask(self, name, version):
        if name.startswith("hole"):
            self.most = max(self.most, len(self.names._questions))
            until = self.now + 5
            while self.now < until:
                await asyncio.sleep(0)
            raise NoAnswer("no answer within 5 s")
        return await super()._ask(name, version)

    async def step(self, seconds=0.0):
        """Let time pass, and all happen that does not wait for a silent server."""
        self.now += seconds
        for _n in range(12):
            self.names._step()
            await asyncio.sleep(0)


def test_silent_servers_starve_nobody():
    """Protects what pods reach: with objects full of names whose servers are silent, a name that answers is asked for
    in time, and keeps its addresses; its first question waits for its turn only.
    """

    async def main():
        world = Silence()
        for number in range(900):
            world.names.use(f"hole{number}.example.net", f"hostile{number // 50}")
        world.answers[NAME, 4] = Answer(("192.0.2.1",), 30)
        world.names.use(NAME, "a", ["192.0.2.1"])
        seconds = 0
        while (NAME, 4) not in world.asked:
            await world.step(1)
            seconds += 1
        assert seconds < 40 and world.has() == ["192.0.2.1"] and world.most <= 16
        world.asked.clear()
        for _n in range(600):
            await world.step(1)
            assert world.has() == ["192.0.2.1"]
        assert 19 <= world.asked.count((NAME, 4)) <= 20
        await end(world.names._questions)

    asyncio.run(main())


def test_a_late_question_takes_no_address():
    """Protects what pods reach from this program being late: an address of the last answer stays until there is another
    one, but not for ever.
    """

    async def main():
        world = Silence()
        world.answers[NAME, 4] = Answer(("192.0.2.1",), 30)
        world.names.use(NAME, "a")
        await world.step()
        world.names._sides[NAME, 4].is_asked = True  # it waits for its turn
        await world.step(30 + domain_names.LINGER + 1)
        assert world.has() == ["192.0.2.1"]
        await world.step(domain_names.KEPT - domain_names.LINGER - 2)
        assert world.has() == ["192.0.2.1"]
        await world.step(2)
        assert world.has() == []

    asyncio.run(main())


def test_silent_names_are_asked_for_less_often():
    """Protects the places of others: after failures that take long a name is asked for each ten minutes, after those
    that come at once each minute.
    """

    async def main(takes):
        world = World()

        async def ask(name, version):
            world.asked.append((world.now, version))
            world.now += takes
            raise NoAnswer("no answer")

        world.names._ask = ask
        world.names.use(NAME, "a")
        for _n in range(3600):
            await world.pass_time(1)
        times = [when for when, version in world.asked if version == 4]
        return times[-1] - times[-2]

    assert asyncio.run(main(0.0)) < 70 and asyncio.run(main(5.0)) > 500


def test_any_error_is_a_failure():
    """Protects a name from an error that nobody has thought of: it is asked for again, and says that it has none."""

    async def test(world):
        real = world.names._ask

        async def ask(name, version):
            raise RuntimeError("surprise")

        world.names._ask = ask
        world.names.use(NAME, "a")
        await world.pass_time()
        assert "RuntimeError" in world.names.problem(NAME)
        world.names._ask = real
        world.answers[NAME, 4] = Answer(("192.0.2.1",), 30)
        await world.pass_time(domain_names.RETRY)
        assert world.has() == ["192.0.2.1"] and world.names.problem(NAME) == ""

    run(test)


def test_more_addresses_than_are_served():
    """Protects whoever denies a name: that it has more addresses than are served is known, of each IP version by
    itself, also where some of them are of the answer before, and no longer than it is so.
    """

    async def test(world):
        def answer(first, count):
            world.answers[NAME, 4] = Answer(tuple(f"198.51.100.{n}" for n in range(first, first + count)), 30)

        answer(1, 100)
        world.names.use(NAME, "a")
        await world.pass_time()
        assert world.names.partial(NAME) == ()
        answer(1, 101)
        await world.pass_time(30)
        assert world.names.partial(NAME) == (4,)
        answer(1, 90)
        await world.pass_time(30)
        await world.pass_time(30)
        await world.pass_time(30)
        assert world.names.partial(NAME) == ()
        answer(101, 50)
        await world.pass_time(30)
        assert world.names.partial(NAME) == (4,) and len(world.has()) == 100
        for _n in range(4):
            await world.pass_time(30)
        assert world.names.partial(NAME) == () and len(world.has()) == 50

    run(test)
