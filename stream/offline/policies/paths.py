"""The settings of a policy by their paths: tables, and at the end a name.

Law: what `walk` gives, put by its paths into nothing, is the table again, but for tables that are empty. An encoder is one
setting, with its pack's numbers, and so is a model of the policy's own.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from copy import deepcopy
from typing import Any, Final

from stream.contract.policy import Policy

__all__ = ["ABSENT", "Path", "leaves", "put", "take", "walk"]

Path = tuple[str, ...]
ABSENT: Final = object()  # the value of a setting that there is not
_DEPTH_MAX: Final = 3  # of a setting: what lies deeper is its value
_WHOLE: Final = {"encoders": 2, "own_model": 1}  # by table: how deep the path of one setting is


def walk(
    table: Mapping[str, Any], is_setting: Callable[[Path, Mapping[str, Any]], bool], before: Path = ()
) -> Iterator[tuple[Path, Any]]:
    """Path and value of each setting in a table of tables, in their order.

    Parameters
    ----------
    is_setting
        Whether what lies at a path is a value, although it is a table.

    >>> list(walk({"a": {"b": 1, "c": {}}, "d": {"e": 2}}, lambda path, value: path == ("d",)))
    [(('a', 'b'), 1), (('d',), {'e': 2})]
    """
    for name, value in table.items():
        path = (*before, name)
        if isinstance(value, Mapping) and not is_setting(path, value):
            yield from walk(value, is_setting, path)
        else:
            yield path, value


def leaves(policy: Policy) -> dict[Path, Any]:
    """Path and value of each setting; an encoder is one, and so is a model."""
    return dict(walk(policy.model_dump(), lambda path, _: len(path) == _WHOLE.get(path[0], _DEPTH_MAX)))


def take(table: Mapping[str, Any], path: Sequence[str]) -> Any:
    """The value at a path, or ABSENT.

    >>> take({"a": {"b": 1}}, ("a", "b")), take({"a": None}, ("a", "b")) is ABSENT
    (1, True)
    """
    found: Any = table
    for name in path:
        if not isinstance(found, Mapping) or name not in found:
            return ABSENT
        found = found[name]
    return found


def put(table: dict[str, Any], path: Sequence[str], value: Any) -> None:
    """Set a value at a path, one of its own, with the tables that it takes; ABSENT: there is to be none.

    >>> table = {"a": None}
    >>> put(table, ("a", "b"), 1), table
    (None, {'a': {'b': 1}})
    """
    *tables, last = path
    for name in tables:
        if table.get(name) is None:  # a model of the policy's own may be unset
            table[name] = {}
        table = table[name]
    if value is ABSENT:
        table.pop(last, None)
    else:
        table[last] = deepcopy(value)
