"""How the arguments of commands are parsed, and those that several commands have."""
