"""Makes the pictures of the page in docs/pictures: a page of the sample LeNet, and of a net with blocks, in Chromium.

    python scripts/make_pictures.py

Needs `pip install 'keras-caffe[test]'`, Chromium and its chromedriver (on Debian: chromium, chromium-driver).
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from keras_caffe import samples, view  # noqa: E402
from tests.page.browser import chromium  # noqa: E402

FOLDER = ROOT / "docs" / "pictures"
LIMIT = 300_000  # bytes of a picture
SHOTS = {
    "graph": 'choose(scene().layers.findIndex((layer) => layer.name === "conv1"))',
    "costs": 'show("costs")',
    "activations": 'show("images")',
}


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    digit = (samples.digits()[0][0] * np.float32(samples.SCALE)).astype("float32")
    os.chdir(samples.path())  # the page shows where a layer's definition was read
    page = view("lenet.prototxt", "lenet.caffemodel", images=digit)
    with tempfile.TemporaryDirectory() as folder, chromium(Path(folder)) as browser:
        browser.get(page.save(Path(folder) / "page.html").as_uri())
        for name, script in SHOTS.items():
            shoot(browser, script, FOLDER / f"page-{name}.png")


def shoot(browser: Any, script: str, file: Path) -> None:
    """What the browser shows after a script, as a PNG of few colours."""
    from PIL import Image

    time.sleep(1)  # until the page is drawn
    browser.execute_script(script)
    time.sleep(1)
    browser.save_screenshot(str(file))
    with Image.open(file) as picture:
        picture.convert("RGB").quantize(224).save(file, optimize=True)
    size = file.stat().st_size
    print(f"{file.relative_to(ROOT)}: {size:,} bytes")
    if size > LIMIT:
        raise SystemExit(f"{file} is larger than {LIMIT:,} bytes")


if __name__ == "__main__":
    main()
