"""Rust source as the checks in this folder see it: code without comments and literals, line numbers kept."""

import re

_TOKEN = re.compile(
    r"""
      (?P<line>//[^\n]*)
    | (?P<block>/\*)
    | (?P<raw>\b(?:b|c)?r(?P<hash>\#*)".*?"(?P=hash))
    | (?P<string>\b(?:b|c)?"(?:\\.|[^"\\])*"|"(?:\\.|[^"\\])*")
    | (?P<char>b?'(?:\\(?:x[0-9a-fA-F]{2}|u\{[0-9a-fA-F_]+\}|.)|[^'\\\n])')
    """,
    re.VERBOSE | re.DOTALL,
)


def _blank(text):
    """Spaces of the same length and line count."""
    return re.sub(r"[^\n]", " ", text)


def code_only(text):
    """Returns `text` with comments (nested ones too), strings and character literals blanked out."""
    out, at = [], 0
    while match := _TOKEN.search(text, at):
        out.append(text[at : match.start()])
        end = match.end()
        if match.lastgroup == "block" or match.group("block"):
            end = _end_of_block_comment(text, match.end())
        out.append(_blank(text[match.start() : end]))
        at = end
    out.append(text[at:])
    return "".join(out)


def _end_of_block_comment(text, at):
    depth = 1
    for mark in re.finditer(r"/\*|\*/", text[at:]):
        depth += 1 if mark.group() == "/*" else -1
        if depth == 0:
            return at + mark.end()
    return len(text)


def line_of(text, offset):
    """The 1-based line of an offset."""
    return text.count("\n", 0, offset) + 1
