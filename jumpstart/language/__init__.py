"""The language of JumpStart: what Sun's installer reads, and how good it is.

    text -> parse (`rules`, `profile`, `sysidcfg`) -> judge -> faults with line, column and the way out
    values -> `encode` -> text that reads back as the same values, or a refusal

The words are tables (`keywords`, `answers`); `check` is the edge where files are read and `rules.ok` is written;
everything else is pure.
"""
