"""Wrapper module for OmegaConf's error messages: the types of its errors distinguish only wrong keys and wrong values."""

import re

# Private: wording of messages. ValidationError is the type of all of these, and does not have the expected type.
MEANT = re.compile(r"Did you mean: '(.*)'")
NOT_CONVERTED = re.compile(r"Value (.*) of type '\w+' could not be converted")
NOT_A_GROUP = re.compile(r"Merge error: \w+ is not a subclass of (\w+)\. value: (.*)")
NULL = re.compile(r"field '\w+' is not Optional|Incompatible value 'None'")
NOT_A_LIST = "not a ListConfig"

_OBJECT_TYPE = "object_type="


def in_one_line(text: str) -> str:
    """Return a message in one line, without the line that names a class."""
    kept = [line.strip() for line in text.splitlines() if line.strip() and _OBJECT_TYPE not in line]
    return " ".join(kept).replace("full_key:", "key")
