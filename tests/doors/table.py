"""The table of docs/exports.md: what came of each type of layer at each door."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

PAGE = Path(__file__).resolve().parents[2] / "docs" / "exports.md"
BEGIN, END = "<!-- begin: scripts/export_matrix.py -->", "<!-- end -->"
BEGIN_MODELS = "<!-- begin: scripts/export_matrix.py --models -->"
DOORS = (
    ("ONNX Runtime", "ONNX Runtime"),
    ("OpenVINO", "OpenVINO"),
    ("OpenCV 5", "OpenCV 5"),
    ("OpenCV 4", "OpenCV 4"),
    ("SavedModel in TensorFlow", "TensorFlow"),
    ("SavedModel in OpenVINO", "OpenVINO, SavedModel"),
    ("TFLite in LiteRT", "LiteRT"),
)
"""(door, heading of its column)"""
ALL_DOORS = (*DOORS[:2], ("IR in OpenVINO", "OpenVINO, IR"), *DOORS[2:])
"""Of the trained networks: those of the types write OpenVINO's own files by way of ONNX"""


class Fault(NamedTuple):
    """What an engine computes wrongly in some cases of a type, where no other operations say the same.

    Args:
        why: for the table.
        cases: which cases; another one that is wrong is a new fault.
        sizes: "any", or "open" where files of fixed sizes hold.
    """

    why: str
    cases: frozenset[str]
    sizes: str = "any"


def cases(*numbers: int) -> frozenset[str]:
    return frozenset(f"c{number:04}" for number in numbers)


STATE = "what it changes with each run is lost"
FAULTS: Mapping[tuple[str, str], Fault] = {
    ("DataAugmentation", "SavedModel in OpenVINO"): Fault(STATE, cases(0, 1, 2, 3, 4, 8, 9)),
    ("DepthwiseConvolution", "OpenCV 4"): Fault("images narrower than the kernel come out wrong", cases(8, 29), "open"),
    ("LargeMarginInnerProduct", "SavedModel in OpenVINO"): Fault(STATE, cases(0, 1, 2, 5, 6, 9, 11, 13, 14)),
}
"""{(type, door): its known fault}"""


def known_fault(record: Mapping) -> bool:
    fault = FAULTS.get((_type(record), record["door"]))
    return fault is not None and record["case"] in fault.cases and (record["opened"] or fault.sizes == "any")


def put(page: Path, text: str, begin: str = BEGIN) -> None:
    """Replaces what stands between the markers."""
    before, _, rest = page.read_text().partition(begin)
    _, _, after = rest.partition(END)
    page.write_text(f"{before}{begin}\n{text}\n{END}{after}")


def table(
    records: Iterable[Mapping],
    head: str = "type",
    doors: Sequence[tuple[str, str]] = DOORS,
    row: Callable[[Mapping], str] = lambda record: _type(record),
) -> str:
    """Markdown: a row for each type, or for what `row` says of a record, and the reasons under it."""
    found: dict[tuple[str, str], dict[bool, list[Mapping]]] = defaultdict(lambda: {False: [], True: []})
    for record in records:
        found[row(record), record["door"]][record["opened"]].append(record)
    reasons: dict[str, int] = {}
    rows = []
    for type in sorted({type for type, _ in found}):
        cells = (_cell(type, door, found[type, door], reasons) for door, _ in doors)
        rows.append(f"| {type} | {' | '.join(cells)} |")
    top = f"| {head} | {' | '.join(title for _, title in doors)} |"
    notes = [f"{number}. {reason}" for reason, number in reasons.items()]
    return "\n".join([top, "|---" * (len(doors) + 1) + "|", *rows, "", *notes])


def _type(record: Mapping) -> str:
    return str(record["kind"]).partition("_")[0]


def _cell(type: str, door: str, found: Mapping[bool, list[Mapping]], reasons: dict[str, int]) -> str:
    """Of fixed sizes, and of open ones where that is something else."""
    fixed, opened = (_outcome(type, door, found[sizes], reasons) for sizes in (False, True))
    return fixed if opened in ("", fixed) else f"{fixed}; open: {opened}" if fixed else opened


def _outcome(type: str, door: str, records: list[Mapping], reasons: dict[str, int]) -> str:
    what = Counter(record["what"] for record in records if record["what"] != "no sizes")
    if not what or set(what) == {"holds"}:
        return "holds" if what else ""
    if what["wrong"] or what["crash"]:
        why = FAULTS[type, door].why if (type, door) in FAULTS else "computes something else"
        word = "wrong" if what["wrong"] else "crashes"
    else:
        why = Counter(_plain(record["why"]) for record in records if record["what"] in ("refused", "declined"))
        why, word = why.most_common(1)[0][0], "in part" if what["holds"] else "no"
    return f"{word} [{reasons.setdefault(why, len(reasons) + 1)}]"


def _plain(why: str) -> str:
    """A reason without what differs from case to case."""
    why = re.sub(r"ONNX cannot say \d+ layers? of this net exactly: layer '\w+' \(\w+\): ", "", why)
    why = re.sub(r"OpenCV\(\S*?\) \S+ error: *|in function '.*", "", why)
    why = re.sub(r'layer "onnx_node!\S+"|\(-\d+:[^()]*\)', "", why)
    return re.sub(r"\b\d+\b", "…", why).strip().replace("|", "/")[:160] or "no reason given"
