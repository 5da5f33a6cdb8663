"""Runs saved models where keras_caffe cannot be imported. Started as: python -I without_keras_caffe.py FOLDER

FOLDER/NAME.keras is loaded and run on the arrays in/... of FOLDER/NAME.npz; each must give out/...; prints the
names of those that do, and fails at the first that does not.
"""

import sys
from pathlib import Path

sys.modules["keras_caffe"] = None  # type: ignore[assignment]  # Whoever imports it fails.

import keras  # noqa: E402
import numpy as np  # noqa: E402


def group(arrays: dict[str, np.ndarray], key: str) -> dict[str, np.ndarray]:
    return {name.removeprefix(key): array for name, array in arrays.items() if name.startswith(key)}


def run(file: Path) -> None:
    model = keras.saving.load_model(file)
    arrays = dict(np.load(file.with_suffix(".npz")))
    fed, wanted = group(arrays, "in/"), group(arrays, "out/")
    outputs = model(fed if len(fed) > 1 else next(iter(fed.values())), training=False)
    outputs = outputs if isinstance(outputs, dict) else {name: outputs for name in wanted}
    for name, want in wanted.items():
        got = keras.ops.convert_to_numpy(outputs[name])
        assert got.shape == want.shape, f"{file.stem}: {got.shape} instead of {want.shape}"
        np.testing.assert_allclose(
            got, want, rtol=1e-4, atol=1e-5 * max(np.nan_to_num(np.abs(want)).max(initial=0), 1), err_msg=file.stem
        )
    print(file.stem)


if __name__ == "__main__":
    for path in sorted(Path(sys.argv[1]).glob("*.keras")):
        run(path)
