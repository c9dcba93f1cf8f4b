"""MyST text with LaTeX to HTML with MathML: as much of it as statements and explanations use."""

from __future__ import annotations

import html
import re

_MATH = re.compile(r"\$\$(?P<display>.+?)\$\$|\$(?P<inline>[^$]+?)\$|`(?P<code>[^`]+)`", re.DOTALL)
_STRONG = re.compile(r"\*\*(.+?)\*\*", re.DOTALL)
_EMPHASIS = re.compile(r"(?<![\w*])\*([^*\s](?:[^*]*[^*\s])?)\*(?![\w*])")
_LINK = re.compile(r"\[([^\]]+)\]\((https?://[^)\s]+)\)")

# Names that latex2mathml does not know, in terms of those that it does.
_REWRITES = (
    (re.compile(r"\\operatorname\*?\s*\{([^{}]*)\}"), r"\\mathrm{\1}"),
    (re.compile(r"\\middle\s*"), ""),
    (re.compile(r"\\(?:tfrac|dfrac)\b"), r"\\frac"),
    (re.compile(r"\\(?:nonumber|notag)\b"), ""),
    (re.compile(r"\\label\{[^{}]*\}"), ""),
)


def to_html(text: str) -> str:
    """Paragraphs, lists with ``-``, emphasis, code and formulas; everything else is escaped."""
    blocks = re.split(r"\n\s*\n", text.strip()) if text.strip() else []
    return "\n".join(_block(block) for block in blocks)


def inline(text: str) -> str:
    """One run of text without paragraphs."""
    parts = []
    last = 0
    for match in _MATH.finditer(text):
        parts.append(_words(text[last : match.start()]))
        if match["display"] is not None:
            parts.append(mathml(match["display"], display=True))
        elif match["inline"] is not None:
            parts.append(mathml(match["inline"]))
        else:
            parts.append(f"<code>{html.escape(match['code'])}</code>")
        last = match.end()
    parts.append(_words(text[last:]))
    return "".join(parts)


def mathml(latex: str, display: bool = False) -> str:
    """A formula as MathML; as LaTeX source in a code element if it cannot be converted."""
    from latex2mathml.converter import convert

    source = latex.strip()
    for pattern, replacement in _REWRITES:
        source = pattern.sub(replacement, source)
    try:
        return str(convert(source, display="block" if display else "inline"))
    except Exception:  # the converter raises its own and builtin errors alike
        kind = "math-source block" if display else "math-source"
        return f'<code class="{kind}">{html.escape(latex.strip())}</code>'


def _block(block: str) -> str:
    lines = block.strip().splitlines()
    if (
        lines
        and all(re.match(r"\s*[-*] |\s{2,}\S", line) for line in lines)
        and (re.match(r"\s*[-*] ", lines[0]))
    ):
        items = re.split(r"\n?^\s*[-*] ", "\n".join(lines), flags=re.MULTILINE)[1:]
        return "<ul>" + "".join(f"<li>{inline(item.strip())}</li>" for item in items) + "</ul>"
    return f"<p>{inline(block.strip())}</p>"


def _words(text: str) -> str:
    escaped = html.escape(text, quote=False)
    escaped = _LINK.sub(r'<a href="\2">\1</a>', escaped)
    escaped = _STRONG.sub(r"<strong>\1</strong>", escaped)
    return _EMPHASIS.sub(r"<em>\1</em>", escaped)
