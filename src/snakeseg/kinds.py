"""Whether values from JSON are of the types that settings are annotated with."""

from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin

WORDS = {int: "a whole number", float: "a number", str: "text", bool: "true or false", NoneType: "null"}
# Numbers beyond it are none that anybody means, and not all of them fit a float.
LARGEST = 1e300


def fits(value: Any, kind: Any) -> bool:
    """Whether a value is of an annotated type: a plain one, Literal, or lists, dicts and unions of these."""
    origin, inner = get_origin(kind), get_args(kind)
    if origin in (Union, UnionType):
        return any(fits(value, each) for each in inner)
    if origin is Literal:
        return value in inner
    if origin is list:
        return isinstance(value, list) and all(fits(each, inner[0]) for each in value)
    if origin is dict:
        return isinstance(value, dict) and all(fits(each, inner[1]) for each in value.values())
    if kind in (int, float):
        return isinstance(value, (int, kind)) and not isinstance(value, bool) and abs(value) < LARGEST
    return kind is Any or isinstance(value, kind)


def in_words(kind: Any) -> str:
    """An annotated type, for an error."""
    origin, inner = get_origin(kind), get_args(kind)
    if origin in (Union, UnionType):
        return ", or ".join(in_words(each) for each in inner)
    if origin is Literal:
        return f"one of {', '.join(map(str, inner))}"
    if origin is list:
        return f"a list, each {in_words(inner[0])}"
    if origin is dict:
        return f"names, each with {in_words(inner[1])}"
    return WORDS.get(kind, "anything")
