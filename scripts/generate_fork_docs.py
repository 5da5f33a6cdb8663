#!/usr/bin/env python3
"""Writes docs/forks.md from the tables of dialects, the registry and goldens; `--check` only says if it is stale."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from keras_caffe.forks.dialects import DIALECTS, MARKS  # noqa: E402
from keras_caffe.forks.unbuilt import UNBUILT  # noqa: E402
from keras_caffe.forks.unread import UNREAD  # noqa: E402
from scripts import generate_layer_docs as layer_docs  # noqa: E402
from scripts import generated_page  # noqa: E402
from tests.layers.cases import own_types  # noqa: E402

PAGE = ROOT / "docs" / "forks.md"

# What arrays of a fork check where it gives a name of Caffe's own another meaning: {dialect: {type: file}}.
MEANINGS = {
    "nvcaffe": {"BatchNorm": "BatchNorm_nvidia", "L1Loss": "L1Loss_nvidia"},
    "deeplab": {"Convolution": "Convolution_hole"},
    "fcn": {"Crop": "Crop_hed"},
    "c3d": {"blobs and V1 numbers": "../forks/C3D_v10_binary"},
    "happynear": {"InnerProduct": "InnerProduct_normalize", "Normalize": "Normalize_happynear"},
    "segnet": {"BN": "BN_segnet", "Upsample": "Upsample_segnet"},
    "pspnet": {"BN": "BN_pspnet"},
    "ssd": {"Accuracy": "Accuracy_ssd", "SmoothL1Loss": "SmoothL1Loss"},
}

INTRODUCTION = """\
# Forks of Caffe

<!-- Written by scripts/generate_fork_docs.py; run it after a change. -->

Half of the public nets were made for a modified Caffe. A net is read in the dialect of its Caffe: the one that
`fork=` (or `--fork`) names, or otherwise the one that the file's marks point to. `model.net.fork` has the name and the
reason; `keras-caffe check` and `keras-caffe summary` print them. If a net has marks of two dialects, the error names
both lines.

*Exact* means that we compared the results with arrays that the fork's own code computed, within float32 rounding;
*formula* means that we compared them with arrays computed by the stated formula. The arrays are in
tests/goldens/layers.

## Dialects: one name, two meanings
"""


def page() -> str:
    return "\n".join(
        [
            INTRODUCTION,
            *_table(("`fork=`", "Repository", "What is different", "Chosen if a file has"), _dialects()),
            "\nNames that Caffe has too, and how each dialect's meaning is checked:\n",
            *_table(("Dialect", "Type", "Exactness"), _meanings()),
            "\n## Types by fork\n",
            *_table(("Fork", "Type", "Values", "Gradient"), _types()),
            "\n## Types that we do not have\n",
            "The error about such a net names the fork. `custom_layers=` takes your own class.\n",
            *_table(("Fork", "Type", "Why"), _unbuilt()),
            "\n## Fields that have no effect here\n",
            "A warning names such a field, with its layer and line.\n",
            *_table(("Field", "In its Caffe, it"), ((f"`{name}`", unread.does) for name, unread in UNREAD.items())),
            "",
        ]
    )


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> Iterator[str]:
    head = list(head)
    yield f"| {' | '.join(head)} |"
    yield "|---" * len(head) + "|"
    for row in rows:
        yield f"| {' | '.join(row)} |"


def _dialects() -> Iterator[tuple[str, ...]]:
    for name, dialect in DIALECTS.items():
        names = ", ".join(f"`{one}`" for one in (name, *dialect.aliases))
        marks = ", ".join(f"`{mark.what}`" for mark in MARKS if mark.tells and mark.forks[0] == name)
        yield names, dialect.source, dialect.changes, marks or "–"


def _meanings() -> Iterator[tuple[str, ...]]:
    for name, types in MEANINGS.items():
        for kind, file in types.items():
            checked = (layer_docs.GOLDENS / f"{file}.npz").exists()
            yield f"`{name}`", kind, f"exact (`{Path(file).name}`)" if checked else "formula"


def _types() -> Iterator[tuple[str, ...]]:
    """The types of forks, by fork."""
    rows = []
    for name, cls in own_types().items():
        fork, _ = layer_docs.origin(cls)
        if fork != "BVLC":
            exact = "exact" if layer_docs.values(name, cls) == "exact" else "formula"
            rows.append((fork, f"[{name}](layers.md#{name.lower()})", exact, layer_docs.gradient(name, cls)))
    yield from sorted(rows, key=lambda row: (row[0].lower(), row[1].lower()))


def _unbuilt() -> Iterator[tuple[str, ...]]:
    groups: dict[tuple[str, str], list[str]] = {}
    for name, (source, why) in UNBUILT.items():
        groups.setdefault((source, why), []).append(name)
    for (source, why), names in sorted(groups.items()):
        yield source, ", ".join(names), why


if __name__ == "__main__":
    sys.exit(generated_page.write(PAGE, page(), __doc__))
