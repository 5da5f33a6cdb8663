"""Which library of native operations is taken, and what is said where there is none."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import tensorflow as tf

from keras_caffe.errors import CaffeError
from keras_caffe.ops import native, native_status
from keras_caffe.ops.lrn import lrn
from keras_caffe.ops.stock import stock_ops_only

STATUS = native_status()
needs_library = pytest.mark.skipif(not STATUS.loaded, reason=f"no native operations: {STATUS.reason}")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where libraries are looked for, empty."""
    monkeypatch.setattr(native, "FOLDER", tmp_path)
    native._load.cache_clear()
    yield tmp_path
    native._load.cache_clear()


def test_a_library_that_was_built_is_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    built = native.FOLDER / f"native-tensorflow-{tf.__version__}.so"
    monkeypatch.setenv(native.SWITCH, "auto")
    assert native_status().loaded == built.exists()
    assert (native_status().library == str(built)) == built.exists()


def test_0_switches_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(native.SWITCH, "0")
    assert native_status() == native.NativeStatus(False, None, "KERAS_CAFFE_NATIVE=0")
    assert native.operation("Lrn") is None


def test_another_value_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(native.SWITCH, "yes")
    with pytest.raises(CaffeError, match="expected 0, 1 or auto; received 'yes'"):
        native_status()


def test_without_a_library_the_status_says_how_to_build_one(folder: Path) -> None:
    assert native_status() == native.NativeStatus(
        False, None, "no library has been built (scripts/build_ops.sh builds it)"
    )
    assert lrn(tf.ones((1, 2, 2, 3)), 3, 1.0, 0.75, 1.0).shape == (1, 2, 2, 3)


def test_1_insists(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(native.SWITCH, "1")
    with pytest.raises(CaffeError, match="cannot be used; received no library has been built.*build_ops.sh"):
        lrn(tf.ones((1, 2, 2, 3)), 3, 1.0, 0.75, 1.0)


def marked(version: str) -> bytes:
    return b"\x7fELF" + bytes(100) + b"KERAS_CAFFE_TENSORFLOW=" + version.encode() + b";KERAS_CAFFE_SOURCES=0;"


def test_a_library_for_another_tensorflow_is_not_loaded(
    folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def load(name: str) -> None:
        raise AssertionError(f"{name} was loaded")

    monkeypatch.setattr(tf, "load_op_library", load)
    (folder / f"native-tensorflow-{tf.__version__}.so").write_bytes(marked("2.9.1"))  # whatever its name says
    with caplog.at_level(logging.WARNING, "keras_caffe"):
        status = native_status()
        native_status()
    assert not status.loaded
    assert re.search(
        rf"this is TensorFlow {re.escape(tf.__version__)}, and there is .*\.so for TensorFlow 2\.9\.1", status.reason
    )
    assert [record.levelname for record in caplog.records] == ["WARNING"]


def test_of_several_libraries_the_one_that_fits_is_tried(folder: Path) -> None:
    (folder / "native-tensorflow-2.9.1.so").write_bytes(marked("2.9.1"))
    (folder / "native-tensorflow-now.so").write_bytes(marked(tf.__version__))
    assert native_status().library == str(folder / "native-tensorflow-now.so")


def test_threads_that_come_together_load_once(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    loads = []

    def find(version: str) -> tuple[None, str]:
        loads.append(version)
        time.sleep(0.2)
        return None, "none"

    monkeypatch.setattr(native, "_find", find)
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: native_status(), range(4)))
    assert loads == [tf.__version__] and {status.reason for status in found} == {"none"}


def test_a_broken_library_is_no_crash(folder: Path) -> None:
    library = folder / f"native-tensorflow-{tf.__version__}.so"
    library.write_bytes(marked(tf.__version__) + b"keras_caffe_max_pool")  # as a library for GPUs has it
    status = native_status()
    assert not status.loaded
    assert status.reason.startswith(f"{library} cannot be loaded: ")


@needs_library
def test_stock_operations_only_where_they_are_asked_for() -> None:
    with stock_ops_only():
        assert native.operation("Lrn") is None
    assert native.operation("Lrn") is not None


@needs_library
def test_a_graph_for_xla_takes_the_twin() -> None:
    def normalised(x: tf.Tensor) -> tf.Tensor:
        return lrn(x, 3, 1.0, 0.75, 1.0)

    x = tf.random.normal((1, 2, 2, 5))
    compiled, plain = tf.function(normalised, jit_compile=True), tf.function(normalised)
    kinds = {op.type for op in plain.get_concrete_function(x).graph.get_operations()}
    assert "KerasCaffe>Lrn" in kinds
    tf.debugging.assert_near(compiled(x), plain(x), rtol=1e-5)


@needs_library
@pytest.mark.parametrize("dtype", ["float64", "float16"])
def test_numbers_that_the_kernels_do_not_know_take_the_twin(dtype: str) -> None:
    assert native.operation("Lrn", tf.ones((1, 1, 1, 1), dtype)) is None
