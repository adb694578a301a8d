"""The scripts by which bash, zsh and fish ask `crate __complete` for candidates."""

from __future__ import annotations

from crate.errors import UsageError

_BASH = r"""# bash completion for crate
_crate() {
    local IFS=$'\n' line word=$2
    local -a words found
    # Bash takes a word apart at `=` and `:`; what is typed is one word.
    local typed=${COMP_LINE:0:COMP_POINT}
    local -a whole
    IFS=$' \t\n' read -ra whole <<<"$typed"
    [[ $typed == *[[:space:]] ]] && whole+=("")
    words=("${whole[@]:1}")
    COMPREPLY=()
    found=($(command "${whole[0]}" __complete -- "${words[@]}" 2>/dev/null))
    for line in "${found[@]}"; do
        if [[ $line == :files ]]; then
            compopt -o filenames 2>/dev/null
            COMPREPLY+=($(compgen -f -- "$word"))
            continue
        fi
        line=${line%%$'\t'*}
        local last=${words[-1]}
        # What stands before the last `=` or `:` is on the command line already.
        local known=${last%"${last##*[=:]}"}
        COMPREPLY+=("${line#"$known"}")
    done
    [[ ${#COMPREPLY[@]} == 1 && ${COMPREPLY[0]} == *[=:] ]] && compopt -o nospace 2>/dev/null
    return 0
}
complete -F _crate crate
"""

_ZSH = r"""#compdef crate
_crate() {
    local line
    local -a found described
    found=("${(@f)$("${words[1]}" __complete -- "${(@)words[2,$CURRENT]}" 2>/dev/null)}")
    for line in "${found[@]}"; do
        if [[ $line == :files ]]; then
            _files
        elif [[ -n $line ]]; then
            described+=("${${line%%$'\t'*}//:/\\:}${${(M)line:#*$'\t'*}:+:${line#*$'\t'}}")
        fi
    done
    (( ${#described} )) && _describe -t crate crate described
}
if [[ $funcstack[1] == _crate ]]; then
    _crate "$@"
else
    compdef _crate crate
fi
"""

_FISH = r"""# fish completion for crate
function __crate_complete
    set -l words (commandline -opc)
    set -l found ($words[1] __complete -- $words[2..-1] (commandline -ct) 2>/dev/null)
    for line in $found
        if test "$line" = :files
            __fish_complete_path (commandline -ct)
        else
            echo $line
        end
    end
end
complete -c crate -f -a '(__crate_complete)'
"""

SCRIPTS = {"bash": _BASH, "zsh": _ZSH, "fish": _FISH}


def script(shell: str) -> str:
    """The script of one shell. Raises UsageError for another."""
    if shell not in SCRIPTS:
        raise UsageError(f'no completion for "{shell}"', f"one of {', '.join(SCRIPTS)}")
    return SCRIPTS[shell]
