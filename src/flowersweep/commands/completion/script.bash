# Completion of flowersweep's commands in bash, by the Python of the active environment.

_flowersweep_ask() { # PYTHON: offer the candidates that it prints
    local line="${COMP_LINE:0:COMP_POINT}" word prefix=""
    word="${line##*[[:space:]]}"
    # By default bash completes only the part after the last = or : of a word.
    [[ $COMP_WORDBREAKS == *=* && $word == *=* ]] && prefix="${word%"${word##*=}"}"
    local IFS=$'\n'
    COMPREPLY=($(COMP_LINE="$line" "$1" -m flowersweep completion query 2>/dev/null))
    COMPREPLY=("${COMPREPLY[@]#"$prefix"}")
}

_flowersweep() { # the console script: its first line contains its Python
    local first
    IFS= read -r first <"$(type -P "${COMP_WORDS[0]/#\~/$HOME}")" && _flowersweep_ask "${first#\#!}"
}

_flowersweep_python() { # python -m flowersweep...; otherwise the previous completion
    if [[ $COMP_LINE =~ ^[^[:space:]]+[[:space:]]+-m[[:space:]]+f ]]; then
        _flowersweep_ask "${COMP_WORDS[0]/#\~/$HOME}"
    elif [[ -n $_flowersweep_before ]]; then
        "$_flowersweep_before" "$@"
    fi
}

# bash-completion loads its completion of Python late and would then replace this one.
for _flowersweep_loader in _comp_load _completion_loader; do
    type "$_flowersweep_loader" &>/dev/null && "$_flowersweep_loader" python &>/dev/null && break
done
unset _flowersweep_loader
if [[ $(complete -p python 2>/dev/null) =~ -F\ ([^ ]+) && ${BASH_REMATCH[1]} != _flowersweep_python ]]; then
    _flowersweep_before="${BASH_REMATCH[1]}"
fi
complete -o nospace -o bashdefault -o default -F _flowersweep flowersweep
complete -o nospace -o bashdefault -o default -F _flowersweep_python python python3
