"""Write an override so that it can be pasted into a shell: quoted for Hydra if its grammar requires it, then for the shell."""

import shlex

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Quote, QuotedString
from hydra.errors import HydraException


def pasted(key: str, value: str) -> str:
    """`key=value` as typed in a shell, for a value that is a string.

    Args:
        key: As in `tracking.dir`; a prefix + or ++ is preserved.
        value: The string, without any quotes.
    """
    candidates = (value, QuotedString(value, Quote.single).with_quotes())
    text = next((f"{key}={one}" for one in candidates if _reads(one, value)), f"{key}={value}")
    # Equivalent for the shell, and easier to read than a separately quoted '.
    return f'"{text}"' if "'" in text and not set('"$`\\!') & set(text) else shlex.quote(text)


def _reads(text: str, value: str) -> bool:
    try:
        read = OverridesParser.create().parse_rule(text, "element")
    except HydraException:
        return False
    return bool((read.text if isinstance(read, QuotedString) else read) == value)
