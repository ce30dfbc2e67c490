# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Loops that try again or wait: they end at their deadline, whatever happens, and pause in between."""

import asyncio

import pytest

from ansible_collections.ovn.kubernetes.plugins.module_utils._common import retry as retries
from ansible_collections.ovn.kubernetes.plugins.module_utils._common.retry import Pause

TWO_SECONDS = Pause(2.0)


class FakeClock:
    """A clock that only sleeping moves."""

    def __init__(self):
        self.time = 1000.0
        self.pauses = []

    def now(self):
        return self.time

    def sleep(self, seconds):
        self.pauses.append(seconds)
        self.time += seconds

    async def sleep_async(self, seconds):
        self.sleep(seconds)


class Calls:
    """Work with these results, one a call; the last one stays."""

    def __init__(self, *results):
        self.results = list(results)
        self.count = 0

    def __call__(self):
        self.count += 1
        result = self.results.pop(0) if len(self.results) > 1 else self.results[0]
        if isinstance(result, Exception):
            raise result
        return result

    async def call_async(self):
        return self()


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture(params=["threads", "asyncio"])
def retry(request, clock):
    """``retry`` and its asyncio variant, which behave alike."""
    if request.param == "threads":
        return lambda work, *args, **more: retries.retry(
            work, *args, clock=retries.Clock(clock.now, clock.sleep), **more
        )
    return lambda work, *args, **more: asyncio.run(
        retries.retry_async(work.call_async, *args, clock=retries.AsyncClock(clock.now, clock.sleep_async), **more)
    )


@pytest.fixture(params=["threads", "asyncio"])
def wait_until(request, clock):
    """``wait_until`` and its asyncio variant, which behave alike."""
    if request.param == "threads":
        return lambda condition, *args: retries.wait_until(
            condition, *args, clock=retries.Clock(clock.now, clock.sleep)
        )
    return lambda condition, *args: asyncio.run(
        retries.wait_until_async(condition.call_async, *args, clock=retries.AsyncClock(clock.now, clock.sleep_async))
    )


def test_retry_returns_the_first_result(retry, clock):
    assert retry(Calls("done"), KeyError, 10, TWO_SECONDS) == "done"
    assert clock.pauses == []


def test_retry_pauses_between_attempts(retry, clock):
    assert retry(Calls(KeyError(), KeyError(), "done"), KeyError, 10, TWO_SECONDS) == "done"
    assert clock.pauses == [2.0, 2.0]


def test_retry_ends_at_the_deadline_with_the_last_error(retry, clock):
    work = Calls(KeyError("first"), KeyError("last"))
    with pytest.raises(KeyError, match="last"):
        retry(work, (KeyError, OSError), 5, TWO_SECONDS)
    assert clock.pauses == [2.0, 2.0, 1.0]  # the last attempt is at the deadline, not after it
    assert work.count == 4


def test_retry_ends_with_the_error_of_the_caller(retry):
    with pytest.raises(RuntimeError, match="gave up") as raised:
        retry(Calls(KeyError("cause")), KeyError, 1, TWO_SECONDS, on_timeout=lambda error: RuntimeError("gave up"))
    assert isinstance(raised.value.__cause__, KeyError)


def test_retry_lets_other_errors_through_at_once(retry, clock):
    with pytest.raises(ValueError):
        retry(Calls(ValueError()), KeyError, 10, TWO_SECONDS)
    assert clock.pauses == []


def test_retry_without_time_makes_one_attempt(retry, clock):
    work = Calls(KeyError())
    with pytest.raises(KeyError):
        retry(work, KeyError, 0, TWO_SECONDS)
    assert (work.count, clock.pauses) == (1, [])


def test_slow_work_counts_against_the_deadline(clock):
    def slow():
        clock.time += 7
        raise KeyError

    with pytest.raises(KeyError):
        retries.retry(slow, KeyError, 10, TWO_SECONDS, clock=retries.Clock(clock.now, clock.sleep))
    assert clock.pauses == [2.0]


def test_waiting_returns_the_result_that_holds(wait_until, clock):
    assert wait_until(Calls(None, 0, "there"), 10, TWO_SECONDS) == "there"
    assert clock.pauses == [2.0, 2.0]


def test_waiting_ends_at_the_deadline(wait_until, clock):
    condition = Calls(None)
    assert wait_until(condition, 3, TWO_SECONDS) is None
    assert clock.pauses == [2.0, 1.0]
    assert condition.count == 3


def test_a_growing_pause_doubles_up_to_its_longest():
    pause = Pause(0.5, longest=3.0)
    assert [pause.seconds(attempt) for attempt in range(5)] == [0.5, 1.0, 2.0, 3.0, 3.0]
    assert pause.seconds(100000) == 3.0


def test_jitter_shortens_a_pause_by_its_share_at_most():
    pauses = [Pause(10.0, jitter=0.3).seconds(0) for _number in range(200)]
    assert all(7.0 <= seconds <= 10.0 for seconds in pauses)
    assert len(set(pauses)) > 100


def test_the_default_clock_is_the_monotonic_one():
    assert retries.wait_until(lambda: False, 0.002, Pause(0.001)) is False
    assert asyncio.run(retries.wait_until_async(Calls(False).call_async, 0.002, Pause(0.001))) is False
