"""What a text says of the Python layer ProposalLayer (py-faster-rcnn, lib/rpn/proposal_layer.py)."""

from __future__ import annotations

import re
from typing import Any

# What py-faster-rcnn's configuration says for the phases 0 TRAIN and 1 TEST.
PYTHON_TOP = [{"pre_nms_topn": 12000, "post_nms_topn": 2000}, {"pre_nms_topn": 6000, "post_nms_topn": 300}]


def from_text(text: str) -> dict[str, Any]:
    """feat_stride, scales and ratios as a param_str writes them; "" leaves the defaults."""
    arguments: dict[str, Any] = {}
    for name, ours in (("feat_stride", "feat_stride"), ("scales", "scale"), ("ratios", "ratio")):
        match = re.search(rf"['\"]?{name}['\"]?\s*:[^\d\n]*([\d., ]+)", text)
        numbers = re.findall(r"\d+\.?\d*|\.\d+", match[1]) if match else []
        if numbers:
            arguments[ours] = int(numbers[0]) if ours == "feat_stride" else [float(number) for number in numbers]
    return arguments
