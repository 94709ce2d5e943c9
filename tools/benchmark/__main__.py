"""tools/bench: switches side by side, in interleaved rounds, as ratios to the kernel bridge."""

import json
import resource
import sys
from argparse import Namespace

from .contenders import Martlet
from .machine import busy_remark, facts
from .metrics import Conditions
from .options import parse
from .processes import ProgramFailed
from .progress import progress
from .report.markdown import document
from .report.page import page
from .results import Entry, Results, verdicts
from .suites import SUITES


def measure(name: str, options: Namespace) -> Results:
    suite = SUITES[name]
    load = options.binaries / "martlet-load"
    conditions = Conditions(options.seconds, options.congestion_control, load, options.instructions)
    results = Results(suite.name, suite.title, options.rounds, options.seconds, facts(conditions))
    if suite.is_timed and (remark := busy_remark()):
        progress(f"Warning: {remark}")
        results.remarks.append(remark)
    chosen = []
    for contender in suite.choose(options.contenders):
        if reason := contender.missing():
            results.leave_out(contender.name, "all", reason)
            progress(f"left out: {contender.name}: {reason}")
        else:
            chosen.append(contender)
    results.entries = [Entry.of(contender) for contender in chosen]
    suite.run(chosen, conditions, results)
    return results


def show(results: Results, options: Namespace):
    """On standard output, and in the files that were asked for."""
    forms = {
        "json": json.dumps(results.as_json(), indent=1) + "\n",
        "md": document(results, Martlet.NAME),
        "html": page(results, Martlet.NAME),
    }
    print(forms["md"], flush=True)
    for file, form in ((options.json, "json"), (options.html, "html")):
        if file:
            file.write_text(forms[form])
    if options.output:
        options.output.mkdir(parents=True, exist_ok=True)
        for form, text in forms.items():
            (options.output / f"{results.suite}.{form}").write_text(text)


def debian_packages(options: Namespace) -> set[str]:
    """What the chosen suites' contenders want installed; or, with --archives, unpacked."""
    chosen = [contender for name in options.suites for contender in SUITES[name].choose(options.contenders)]
    return {package for c in chosen for package in (c.archives if options.archives else c.packages)}


def main() -> int:
    options = parse()
    if options.packages or options.archives:
        print(*sorted(debian_packages(options)))
        return 0
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))  # inherited by every switch: a port is a descriptor

    missed = False
    for source in options.render or options.suites:
        results = Results.from_json(json.loads(source.read_text())) if options.render else measure(source, options)
        show(results, options)
        for verdict in verdicts(results, Martlet.NAME):
            if not verdict.is_met:
                progress(f"Goal missed. {verdict}")
                missed = True
    return 1 if missed and options.check else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except ProgramFailed as failure:
        sys.exit(f"tools/bench: {failure}")
