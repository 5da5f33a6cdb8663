"""docs/serving.md: its export and its REST request, answered as TensorFlow Serving would."""

from __future__ import annotations

import base64
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.serving.runners import needs_compiler

TEXT = (Path(__file__).resolve().parents[2] / "docs" / "serving.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", TEXT, re.DOTALL)


@needs_compiler
def test_the_documented_request_gets_the_documented_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, in_c: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    exec(compile(blocks("python")[0], "docs/serving.md", "exec"), {})  # noqa: S102
    request = json.loads(re.search(r"-d '(.*?)'\n", blocks("sh")[0], re.DOTALL)[1])
    (answer,) = json.loads(blocks("json")[0])["predictions"]
    data = [base64.b64decode(instance["image_bytes"]["b64"]) for instance in request["instances"]]
    fed = {"image_bytes": np.array(data, object)}
    found, blob = in_c(tmp_path / "models/lenet/1", (request["signature_name"], fed), ("serving_default", fed))
    assert [name.decode() for name in found["classes"][0]] == answer["classes"]
    np.testing.assert_allclose(found["scores"][0], answer["scores"], rtol=1e-4)
    assert blob["prob"].argmax() == int(answer["classes"][0]) == 9  # the first digit of the shipped sample
