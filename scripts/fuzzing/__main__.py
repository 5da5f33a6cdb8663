"""Runs targets one after the other and prints what was run; the exit status is 1 if one has new faults or no inputs."""

from __future__ import annotations

import argparse
import random
import sys
from collections.abc import Sequence
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["keras_caffe"], enable_loader_override=False):
    # Atheris sees which branches an input takes only in modules that are imported here first.
    from scripts.fuzzing.campaign import Campaign, State, Tally, replay
    from scripts.fuzzing.target import targets

SECONDS = 3.0


def main(argv: Sequence[str] | None = None) -> int:
    args = _parser().parse_args(argv)
    with atheris.instrument_imports(include=["keras_caffe"], enable_loader_override=False):
        known = targets()
    if unknown := set(args.targets) - set(known):
        sys.exit(f"no such target: {', '.join(sorted(unknown))}; expected some of {', '.join(known)}")
    names = args.targets or list(known)
    if args.list:
        print("\n".join(known))
        return 0
    if args.replay:
        found = [finding for _, finding in replay(known, names[0], args.replay) if finding]
        print("\n".join(map(str, found)) or "nothing but CaffeErrors came out")
        return int(bool(found))
    state, runs = State(args.state), {}
    print(f"seed {args.seed}")
    for name in names:
        runs[name] = Campaign(name, known[name], state, args.seconds, args.inputs, args.seed).run()
        state.add(name, runs[name])
        _show(name, runs[name], state.tallies[name])
    return int(not all(run.fine for run in runs.values()))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="scripts/fuzz.sh", description=__doc__)
    parser.add_argument("targets", nargs="*", metavar="TARGET", help="what to run (default: everything)")
    parser.add_argument("--seconds", type=float, default=SECONDS, help=f"of each target ({SECONDS:.0f}); 0: no limit")
    parser.add_argument("--inputs", type=int, default=0, help="of each target at most (no limit)")
    parser.add_argument(
        "--state",
        type=Path,
        default=Path(".fuzz/state.json"),
        help="file that sums what was run; inputs and faults are kept beside it (.fuzz/state.json)",
    )
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 31), help="of the mutations (a random one)")
    parser.add_argument("--list", action="store_true", help="print the targets' names")
    parser.add_argument(
        "--replay",
        type=Path,
        nargs="+",
        metavar="FILE",
        help="only give these files to the target, and show what comes",
    )
    return parser


def _show(name: str, run: Tally, sum: Tally) -> None:
    rate = run.inputs / max(run.seconds, 0.001)
    print(f"{name:15} {run.inputs:9} inputs, {rate:7.0f}/s, {len(run.found)} faults; {sum.inputs} inputs in all")
    for place, file in run.found.items():
        print(f"    {place}: {file}")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
