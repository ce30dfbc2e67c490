# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: The ovn.kubernetes maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Label selectors (LabelSelector of Kubernetes' API): one form for all spellings of the same, and an index of them."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Generic, NamedTuple, TypeVar

from .._common.sharing import shared

T = TypeVar("T")
MAXIMUM_REQUIREMENTS = 64  # of a selector
MAXIMUM_VALUES = 500  # of all requirements of a selector
LONGEST_KEY, LONGEST_VALUE = 317, 63  # characters that the API server takes: a prefix of 253, a slash, a name of 63
IN, NOT_IN, EXISTS, DOES_NOT_EXIST = "In", "NotIn", "Exists", "DoesNotExist"


class Unreadable(ValueError):
    """A part of an object can't be read, or is larger than what is served. The text says why."""


class Requirement(NamedTuple):
    """What a selector requires of one label (LabelSelectorRequirement).

    :ivar values: sorted; of ``In`` and ``NotIn`` only.
    """

    key: str
    operator: str
    values: tuple[str, ...] = ()

    def holds(self, labels: Mapping[str, str]) -> bool:
        """Return whether labels are as required. ``NotIn`` holds too where there is no such label."""
        if self.operator == IN:
            return labels.get(self.key) in self.values
        if self.operator == NOT_IN:
            return labels.get(self.key) not in self.values
        return (self.key in labels) == (self.operator == EXISTS)


class Selector(NamedTuple):
    """A label selector: all requirements must hold. Without any it selects everything.

    :ivar requirements: sorted, none twice: two selectors that say the same in other words are equal.
    """

    requirements: tuple[Requirement, ...] = ()

    @classmethod
    def parse(cls, value: object) -> Selector:
        """Return the selector of an object. :raises Unreadable: it is none, or too large."""
        if not isinstance(value, dict):
            raise Unreadable("a selector that is no object")
        found = {Requirement(key, IN, (one,)) for key, one in _match_labels(value.get("matchLabels"))}
        found.update(map(_requirement, _list(value.get("matchExpressions"))))
        if len(found) > MAXIMUM_REQUIREMENTS:
            raise Unreadable(f"a selector of more than {MAXIMUM_REQUIREMENTS} labels")
        if sum(len(one.values) for one in found) > MAXIMUM_VALUES:
            raise Unreadable(f"a selector of more than {MAXIMUM_VALUES} values")
        return cls(tuple(sorted(found)))

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Return whether it selects an object with these labels."""
        return all(one.holds(labels) for one in self.requirements)

    def __str__(self) -> str:
        """Return it as ``kubectl get -l`` takes it."""
        return ",".join(map(_spelled, self.requirements))


EVERYTHING = Selector()


def _match_labels(value: object) -> Iterator[tuple[str, str]]:
    if value is None:
        return
    if not isinstance(value, dict):
        raise Unreadable("matchLabels that are no object")
    if len(value) > MAXIMUM_REQUIREMENTS:
        raise Unreadable(f"a selector of more than {MAXIMUM_REQUIREMENTS} labels")
    for key, one in value.items():
        yield _text(key, LONGEST_KEY), _text(one, LONGEST_VALUE)


def _list(value: object) -> list[Any]:
    if value is not None and not isinstance(value, list):
        raise Unreadable("matchExpressions that are no list")
    if value is not None and len(value) > MAXIMUM_REQUIREMENTS:
        raise Unreadable(f"a selector of more than {MAXIMUM_REQUIREMENTS} labels")
    return value or []


def _requirement(value: object) -> Requirement:
    if not isinstance(value, dict):
        raise Unreadable("a requirement of a selector that is no object")
    key, operator, values = _text(value.get("key"), LONGEST_KEY), value.get("operator"), value.get("values") or []
    if not isinstance(values, list) or len(values) > MAXIMUM_VALUES:
        raise Unreadable(f"a selector of more than {MAXIMUM_VALUES} values")
    if operator in (IN, NOT_IN) and values:
        return Requirement(key, operator, tuple(sorted({_text(one, LONGEST_VALUE) for one in values})))
    if operator in (EXISTS, DOES_NOT_EXIST) and not values:
        return Requirement(key, operator)
    raise Unreadable(f"operator {str(operator)[:20]!r} of a selector with {len(values)} values")


def _text(value: object, longest: int) -> str:
    if not isinstance(value, str) or len(value) > longest:
        raise Unreadable("a label of a selector that is no label")
    return shared(value)


def _spelled(one: Requirement) -> str:
    if one.operator in (IN, NOT_IN):
        return f"{one.key} {one.operator.lower()} ({','.join(one.values)})"
    return one.key if one.operator == EXISTS else f"!{one.key}"


class SelectorIndex(Generic[T]):
    """Things by selectors: which of them select an object with some labels, without a look at all others.

    Each selector is looked for by one label that it requires. Those that require none are looked at each time.
    """

    def __init__(self) -> None:
        self._by_label: dict[tuple[str, str | None], dict[T, Selector]] = {}
        self._others: dict[T, Selector] = {}

    def add(self, selector: Selector, thing: T) -> None:
        """Add a thing."""
        for place in self._places(selector):
            place[thing] = selector

    def remove(self, selector: Selector, thing: T) -> None:
        """Remove a thing."""
        for place in self._places(selector):
            place.pop(thing, None)
        for anchor in _anchors(selector):
            if not self._by_label[anchor]:
                del self._by_label[anchor]

    def matching(self, labels: Mapping[str, str]) -> Iterator[T]:
        """Yield the things whose selectors select an object with these labels."""
        candidates: Iterable[tuple[T, Selector]] = self._others.items()
        if self._by_label:
            for anchor in itertools.chain(labels.items(), ((key, None) for key in labels)):
                found = self._by_label.get(anchor)
                if found:
                    candidates = itertools.chain(candidates, found.items())
        for thing, selector in candidates:
            if selector.matches(labels):
                yield thing

    def __bool__(self) -> bool:
        return bool(self._others or self._by_label)

    def _places(self, selector: Selector) -> list[dict[T, Selector]]:
        anchors = _anchors(selector)
        return [self._by_label.setdefault(one, {}) for one in anchors] if anchors else [self._others]


def _anchors(selector: Selector) -> Sequence[tuple[str, str | None]]:
    """Return labels of which an object must have one to be selected: (key, value), or (key, None) for any value."""
    exact = [one for one in selector.requirements if one.operator == IN]
    if exact:
        fewest = min(exact, key=lambda one: len(one.values))
        return [(fewest.key, value) for value in fewest.values]
    return [(one.key, None) for one in selector.requirements if one.operator == EXISTS][:1]
