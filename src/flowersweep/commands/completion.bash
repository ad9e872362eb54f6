# Completion of flowersweep's commands in bash; whichever environment is active answers.

_flowersweep_ask() { # PYTHON: offer what it says may follow
    local line="${COMP_LINE:0:COMP_POINT}" word prefix=""
    word="${line##*[[:space:]]}"
    # Bash completes what follows the last = or : of a word only, unless told otherwise.
    [[ $COMP_WORDBREAKS == *=* && $word == *=* ]] && prefix="${word%"${word##*=}"}"
    local IFS=$'\n'
    COMPREPLY=($(COMP_LINE="$line" "$1" -m flowersweep completion query 2>/dev/null))
    COMPREPLY=("${COMPREPLY[@]#"$prefix"}")
}

_flowersweep() { # the console script: its first line names its Python
    local first
    IFS= read -r first <"$(type -P "${COMP_WORDS[0]/#\~/$HOME}")" && _flowersweep_ask "${first#\#!}"
}

_flowersweep_python() { # python -m flowersweep...; anything else as before
    if [[ $COMP_LINE =~ ^[^[:space:]]+[[:space:]]+-m[[:space:]]+f ]]; then
        _flowersweep_ask "${COMP_WORDS[0]/#\~/$HOME}"
    elif [[ -n $_flowersweep_before ]]; then
        "$_flowersweep_before" "$@"
    fi
}

# bash-completion loads what it knows of Python late, and would then replace this.
for _flowersweep_loader in _comp_load _completion_loader; do
    type "$_flowersweep_loader" &>/dev/null && "$_flowersweep_loader" python &>/dev/null && break
done
unset _flowersweep_loader
if [[ $(complete -p python 2>/dev/null) =~ -F\ ([^ ]+) && ${BASH_REMATCH[1]} != _flowersweep_python ]]; then
    _flowersweep_before="${BASH_REMATCH[1]}"
fi
complete -o nospace -o bashdefault -o default -F _flowersweep flowersweep
complete -o nospace -o bashdefault -o default -F _flowersweep_python python python3
