"""Computes random nets through every door and compares: `random_nets.py --nets 2000 --files 300 --state nets.jsonl`.

Nets are numbered: net 7 is the same one in every run. A run that was stopped goes on where the state file ends. What
fails is printed with its seed, its prototxt and the first blob that differs; `--one SEED` repeats a net.
"""

from __future__ import annotations

import argparse
import gc
import json
import logging
import os
import sys
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

if __name__ == "__main__":  # not for a process that imports this: those it starts would compute otherwise than it does
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")  # what most machines have: it fuses more layers

import keras  # noqa: E402
from absl import logging as absl_logging  # noqa: E402

from keras_caffe import CaffeWarning  # noqa: E402
from tests.random_nets.agreement import check  # noqa: E402
from tests.random_nets.net import net_of_seed  # noqa: E402

CLEAR_EVERY = 20  # nets; TensorFlow keeps the graphs of models until then


def main(argv: Sequence[str] | None = None) -> int:
    args = _parser().parse_args(argv)
    warnings.simplefilter("ignore", CaffeWarning)  # of layers in place where Caffe is wrong
    for name in ("tensorflow", "absl"):
        logging.getLogger(name).setLevel(logging.ERROR)
    absl_logging.set_verbosity(absl_logging.ERROR)
    if args.one is not None:
        print(net_of_seed(args.one))
        return _show([_record(args.one, files=True)])
    state = Path(args.state)
    done = [json.loads(line) for line in state.read_text().splitlines()] if state.exists() else []
    seeds = range(args.seed, args.seed + args.nets)
    known = {record["seed"]: record for record in done if record["seed"] in seeds}
    for count, seed in enumerate(seeds):
        files = count < args.files
        if seed not in known or (files and not known[seed]["files"]):
            known[seed] = _record(seed, files)
            with state.open("a") as file:
                file.write(json.dumps(known[seed]) + "\n")
            _progress(known, args.nets)
    return _show(known.values())


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nets", type=int, default=2000, help="how many (2000)")
    parser.add_argument("--files", type=int, default=300, help="how many of them through files, too (300)")
    parser.add_argument("--state", default="random_nets.jsonl", help="file of what was done; a run goes on from it")
    parser.add_argument("--seed", type=int, default=0, help="number of the first net (0)")
    parser.add_argument("--one", type=int, metavar="SEED", help="only this net, through files too")
    return parser


def _record(seed: int, files: bool) -> dict[str, object]:
    """Makes and checks a net; what came of it, as a line of the state file."""
    start = time.perf_counter()
    net = net_of_seed(seed)
    made = time.perf_counter() - start
    with tempfile.TemporaryDirectory() as folder:
        report = check(net, Path(folder) if files else None)
    if report.failures:
        print(f"\n{net}" + "".join(f"\n  FAILED {failure}" for failure in report.failures), flush=True)
    if seed % CLEAR_EVERY == 0:
        keras.backend.clear_session()
        gc.collect()
    seconds = {"make": made, **report.seconds}
    return {"seed": seed, "files": files, "types": net.types, "failures": report.failures, "seconds": seconds}


def _progress(known: dict[int, dict], nets: int) -> None:
    failed = sum(bool(record["failures"]) for record in known.values())
    print(f"\r{len(known)} of {nets} nets, {failed} failed", end="", file=sys.stderr, flush=True)


def _show(records: Iterable[dict]) -> int:
    """Prints what all the nets came to; 1 if one failed."""
    records = list(records)
    failed = [record for record in records if record["failures"]]
    seconds: Counter = sum((Counter(record["seconds"]) for record in records), Counter())
    types = Counter(type for record in records for type in record["types"])
    print(
        f"\n{len(records)} nets, {sum(record['files'] for record in records)} through files too, {len(failed)} failed"
    )
    print("seconds per net: " + ", ".join(f"{door} {s / len(records):.2f}" for door, s in seconds.most_common()))
    print("layers: " + ", ".join(f"{type} {number}" for type, number in sorted(types.items())))
    for record in failed:
        print(f"failed: seed {record['seed']}: {record['failures'][0]}")
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())
