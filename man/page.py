#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""A manual page from one of doc/'s Markdown files: page.py INPUT.md NAME SECTION SUMMARY >PAGE"""
import re
import sys


def text(line):
    """Inline markup, and what troff would take for its own."""
    line = line.replace("\\", "\\e").replace("-", "\\-")
    line = re.sub(r"!\[([^]]*)\]\([^)]*\)", r"\1", line)
    line = re.sub(r"\[([^]]*)\]\((?!https?:)[^)]*\)", r"\1", line)  # other pages of doc/ have no place here
    line = re.sub(r"\[([^]]*)\]\(([^)]*)\)", r"\1 (\2)", line)
    line = re.sub(r"`([^`]*)`", r"\\fB\1\\fR", line)
    line = re.sub(r"\*\*([^*]*)\*\*", r"\\fB\1\\fR", line)
    return "\\&" + line if line[:1] in (".", "'") else line


def convert(lines):
    out, code, table, blank = [], False, False, False
    for line in lines:
        line = line.rstrip("\n")
        if line.startswith("```"):
            code = not code
            out.append(".PP\n.nf" if code else ".fi")
        elif code:
            out.append("\\&" + line.replace("\\", "\\e").replace("-", "\\-"))
        elif line.startswith("# "):
            pass
        elif line.startswith("#"):
            out.append((".SH " if line.startswith("## ") else ".SS ") + text(line.lstrip("# ")))
        elif line.startswith("|"):
            cells = [c.strip() for c in re.split(r"(?<!\\)\|", line.strip("|"))]
            if set("".join(cells)) <= set("-: "):
                table = True
            elif table:
                out.append(".TP\n\\fB%s\\fR\n%s" % (text(cells[0].replace("`", "")),
                                                    "; ".join(text(c.replace("\\|", "|")) for c in cells[1:] if c)))
        elif line.startswith("- "):
            out.append(".IP \\(bu 2\n" + text(line[2:]))
        elif not line:
            blank, table = True, False
            continue
        else:
            if blank and out and not out[-1].startswith((".SH", ".SS")):
                out.append(".PP")
            out.append(text(line.strip()))
        blank = False
    return out


def main():
    source, name, section, summary = sys.argv[1:]
    with open(source, encoding="utf-8") as f:
        lines = convert(f)
    print('.\\" SPDX-License-Identifier: BSD-2-Clause\n.TH %s %s "" "aesuite" "File formats"\n.SH NAME\n%s \\- %s\n.SH DESCRIPTION' %
          (name.upper(), section, name, summary))
    print("\n".join(lines))
    print(".SH SEE ALSO\n.BR aetrain (1),\n.BR aesuite (7)")


main()
