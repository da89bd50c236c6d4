"""Complete commands, groups, options and settings with Tab, in bash, zsh or fish.

    eval "$(vision2 completion bash)"                                  # in ~/.bashrc
    eval "$(vision2 completion zsh)"                                   # in ~/.zshrc, after compinit
    vision2 completion fish > ~/.config/fish/completions/vision2.fish

The script calls `vision2 completion words LINE` on every Tab, so that it always knows the installed version.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from importlib import import_module
from importlib.util import find_spec

from vision2.basics.errors import UserError, suggest
from vision2.commands import COMMANDS
from vision2.config.command import Option, run_command

# `=` separates words in bash, which therefore replaces only what follows it.
SCRIPTS = {
    "bash": """\
_vision2() {
    local line="${COMP_LINE:0:$COMP_POINT}" IFS=$'\\n'
    local word="${line##* }"
    COMPREPLY=($(vision2 completion words "$line" 2>/dev/null))
    if [[ $word == *=* && $COMP_WORDBREAKS == *=* ]]; then COMPREPLY=("${COMPREPLY[@]#"${word%%=*}="}"); fi
}
complete -o default -o nospace -F _vision2 vision2
""",
    "zsh": """\
_vision2() {
    local -a found=("${(@f)$(vision2 completion words "$LBUFFER" 2>/dev/null)}")
    if [[ -n $found ]]; then compadd -Q -S '' -- $found; else compset -P '*='; _files; fi
}
compdef _vision2 vision2
""",
    "fish": """\
complete -c vision2 -a '(vision2 completion words (commandline -cp) 2>/dev/null)'
""",
}
TRUTH = ("true", "false")
OPTIONS = {
    "shell": Option("", f"{' | '.join(SCRIPTS)}; 'shell=' may be omitted"),
    "line": Option(None, "the line typed so far, whose last word is completed; used by the scripts"),
}


def main(argv: Sequence[str] | None = None) -> int:
    words = list(sys.argv[1:] if argv is None else argv)
    if words[:1] == ["words"]:
        words = ["shell=words", f"line={words[1] if len(words) > 1 else ''}"]
    elif words and "=" not in words[0] and not words[0].startswith("-"):
        words[0] = f"shell={words[0]}"
    return run_command(words, doc=__doc__, options=OPTIONS, run=run, composes=False)


def run(options: dict) -> None:
    """Print a shell's script or, for a line, the words that may end it."""
    if options["line"] is not None:
        print("\n".join(completions(options["line"])))
        return
    shell = options["shell"]
    if not shell:
        raise UserError(f"for which shell? type vision2 completion {'|'.join(SCRIPTS)}")
    if shell not in SCRIPTS:
        raise UserError(f"unknown shell '{shell}'{suggest(shell, SCRIPTS)}")
    print(SCRIPTS[shell], end="")


def completions(line: str) -> list[str]:
    """The words that begin with the last one of `line`, such as `vision2 train model=res`; [] leaves files to the shell."""
    before, last = line.split(), ""
    if line[-1:].strip():
        last = before.pop()
    if len(before) < 2:
        return [f"{name} " for name in COMMANDS if name.startswith(last)]
    if before[1] not in COMMANDS:
        return []
    key, equals, value = last.partition("=")
    own = _own_options(before[1])
    if equals:
        earlier, comma, start = value.rpartition(",")
        return [f"{key}={earlier}{comma}{name}" for name in _values(key, own) if name.startswith(start)]
    used = {word.partition("=")[0] for word in before[2:]}
    return [f"{name}=" for name in _keys(before[1], own) if name.startswith(last) and name not in used]


def _own_options(command: str) -> dict[str, Option]:
    module = f"vision2.{command}"
    if getattr(find_spec(module), "submodule_search_locations", None):  # a package, such as vision2.report
        module += ".__main__"
    return getattr(import_module(module), "OPTIONS", {})


def _keys(command: str, own: dict[str, Option]) -> Iterable[str]:
    if not COMMANDS[command].takes_settings:
        return own
    from vision2.config.checks import LEAVES
    from vision2.config.location import GROUPS

    return [*own, *GROUPS, *LEAVES]


def _values(key: str, own: dict[str, Option]) -> Iterable[str]:
    """What a key may be, if that is a short list."""
    from vision2.config.checks import LEAVES
    from vision2.config.location import GROUPS, options

    if key in own:
        return TRUTH if own[key].kind is bool else ()
    if key in GROUPS:
        return options(key)
    field = LEAVES.get(key)
    if field is None:
        return ()
    return TRUTH if field.type == "bool" else field.metadata.get("choices") or ()


if __name__ == "__main__":
    sys.exit(main())
