"""Names that one file format or another takes for something else than a text."""

# YAML 1.1 and 1.2, OmegaConf's interpolations, rich's markup, matplotlib's mathematics, CSV and HTML.
ODD_NAMES = (
    *("1e5", "1e+5", "1.e5", "1_000", "0x10", "0o17", "017", "0b1", "1.", "+1", "-0", "12", "1,5"),
    *("yes", "no", "on", "off", "y", "n", "true", "False", "null", "None", "~", "inf", "nan"),
    *("2024-01-01", "2024-01-01 10:00:00", "12:30:45", "190:20:30", "<<", "=", "---", "%x", "!x", "&a"),
    *("a: b", "- a", "#x", "a #x", "{a}", "[a]", "[red]", "'a'", '"a"', "a,b", "a;b", "`a", "@a", "*a", "|"),
    *("${seed}", "${oc.env:HOME}", "a${b", r"\${seed}", "$a$b$", "$a_b", r"$\frac$", r"a\b", ":smile:"),
    *(" a", "a ", " ", "a  b", "a\tb", "<b>a", "&amp;", "p_p_", "Größe", "花", "🌼", "e\u0301", "\ufeffa"),
    *("pictures", "training", "validation", "test", "name", "fingerprint", "n" * 120),
)
