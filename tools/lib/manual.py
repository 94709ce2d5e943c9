"""Writes manual pages, in man(7), from what a program says of itself by --experimental-dump-help.

One page for the program and one for each of its commands: martlet.1, martlet-network.1, martlet-network-create.1. The program
stays the only place where its words are written. Format of the input: ArgumentParserToolInfo of swift-argument-parser, version 0.
"""

import argparse
import json
import pathlib
import sys

SERIALIZATION_VERSION = 0
MANUAL = "Martlet"
# Pages of other programs, by the page that names them.
COUNTERPARTS = {"martlet": [("martletd", "8")], "martletd": [("martlet", "1")]}


def roff(text):
    """Text as roff: nothing in it is a request, and a hyphen is the character that people type."""
    lines = text.replace("\\", "\\e").replace("-", "\\-").split("\n")
    return "\n".join("\\&" + line if line[:1] in (".", "'") else line for line in lines)


def name_of(name):
    return {"long": "--", "short": "-", "longWithSingleDash": "-"}[name["kind"]] + name["name"]


def is_given(argument):
    """Whether people type it; the parser's own help command and hidden options are not shown."""
    return argument["shouldDisplay"]


def shown_commands(command):
    return [one for one in command.get("subcommands", []) if one["shouldDisplay"] and one["commandName"] != "help"]


def words(command):
    return [*command.get("superCommands", []), command["commandName"]]


def synopsis(command):
    parts = [f"\\fB{roff(' '.join(words(command)))}\\fR"]
    arguments = [one for one in command.get("arguments", []) if is_given(one)]
    if any(one["kind"] != "positional" and one["isOptional"] for one in arguments):
        parts.append("[\\fIoptions\\fR]")
    for one in arguments:
        value = f"\\fI{roff(one.get('valueName', ''))}\\fR"
        if one["kind"] == "positional":
            separator = "\\-\\- " if one["parsingStrategy"] == "postTerminator" else ""
            text = separator + value + ("..." if one["isRepeating"] else "")
            parts.append(f"[{text}]" if one["isOptional"] else text)
        elif not one["isOptional"]:
            name = f"\\fB{roff(name_of(one['preferredName']))}\\fR"
            parts.append(name if one["kind"] == "flag" else f"{name} {value}")
    if shown_commands(command):
        parts.append("\\fIcommand\\fR ...")
    return " ".join(parts)


def described(argument):
    """An argument's item: its tag, and what it is."""
    value = f"\\fI{roff(argument.get('valueName', ''))}\\fR"
    if argument["kind"] == "positional":
        tag = value
    else:
        names = sorted(argument["names"], key=lambda name: name["kind"] != "short")
        tag = ", ".join(f"\\fB{roff(name_of(name))}\\fR" for name in names)
        if argument["kind"] == "option":
            tag += f" {value}"
    lines = [".TP", tag, roff(argument.get("abstract", "").strip()) or "\\&"]
    values = argument.get("allValues")
    if values:
        lines.append(roff(f"One of {', '.join(values)}."))
    if argument.get("defaultValue"):
        lines.append(roff(f"Default: {argument['defaultValue']}."))
    if argument.get("discussion"):
        lines += [".IP", roff(argument["discussion"].strip())]
    return lines


def sections(command):
    """The arguments by section: positional ones, options, and the sections that the program names, which come last."""
    found = {"Arguments": [], "Options": []}
    for argument in command.get("arguments", []):
        if is_given(argument):
            default = "Arguments" if argument["kind"] == "positional" else "Options"
            found.setdefault(argument.get("sectionTitle") or default, []).append(argument)
    return {title: arguments for title, arguments in found.items() if arguments}


def related(command, parents, section):
    """The pages of the command above and those below; the program's own page names its counterpart."""
    pages = [("-".join(words(one)), section) for one in [*parents[-1:], *shown_commands(command)]]
    pages += COUNTERPARTS.get("-".join(words(command)), [])
    return [f"\\fB{roff(name)}\\fR({page_section})" for name, page_section in pages]


def page(command, parents, section, version):
    name = "-".join(words(command))
    abstract = command.get("abstract", "").strip()
    lines = [
        f'.TH "{roff(name.upper())}" "{section}" "" "Martlet {roff(version)}" "{MANUAL}"',
        ".\\\" Made from the program's own help: change that.",
        ".SH NAME", f"{roff(name)} \\- {roff(abstract.removesuffix('.'))}",
        ".SH SYNOPSIS", ".nh", synopsis(command), ".hy",
    ]
    if command.get("discussion"):
        lines += [".SH DESCRIPTION"]
        for paragraph in command["discussion"].strip().split("\n\n"):
            lines += [".PP", roff(paragraph)]
    commands = shown_commands(command)
    if commands:
        lines += [".SH COMMANDS"]
        for one in commands:
            lines += [".TP", f"\\fB{roff(one['commandName'])}\\fR", roff(one.get("abstract", ""))]
    for title, arguments in sections(command).items():
        lines += [f'.SH "{roff(title.upper())}"']
        for argument in arguments:
            lines += described(argument)
    others = related(command, parents, section)
    if others:
        lines += [".SH SEE ALSO", ",\n".join(others)]
    return "\n".join(lines) + "\n"


def pages(command, section, version, parents=()):
    """All pages of a command and those below it: file name and text."""
    yield f"{'-'.join(words(command))}.{section}", page(command, parents, section, version)
    for one in shown_commands(command):
        yield from pages(one, section, version, (*parents, command))


def main():
    options = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    options.add_argument("--section", required=True)
    options.add_argument("--version", required=True)
    options.add_argument("directory", type=pathlib.Path)
    options = options.parse_args()
    described_tool = json.load(sys.stdin)
    if described_tool["serializationVersion"] != SERIALIZATION_VERSION:
        sys.exit(f"manual.py: cannot read help of version {described_tool['serializationVersion']}")
    for name, text in pages(described_tool["command"], options.section, options.version):
        (options.directory / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
