"""Memory of batches is used again, but never while somebody holds it."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from keras_caffe.data.buffers import ALIGNMENT, Buffers


def test_memory_that_nobody_holds_is_given_out_again() -> None:
    buffers = Buffers()
    places = set()
    for _ in range(20):
        batch = buffers.take((4, 5))
        places.add(batch.ctypes.data)
        del batch
    assert len(places) == 1


def test_memory_that_is_held_is_not() -> None:
    buffers = Buffers()
    held = []
    for number in range(30):
        batch = buffers.take((3, 7))
        batch[...] = number
        held.append(tf.constant(batch) if number % 3 == 0 else batch[1:, ::2] if number % 3 == 1 else batch)
        del batch
    for number, kept in enumerate(held):
        assert np.all(np.asarray(memoryview(kept.numpy() if tf.is_tensor(kept) else kept)) == number)


def test_memory_is_aligned_and_of_the_type_asked_for() -> None:
    buffers = Buffers()
    for shape, dtype in (((3, 5), np.float32), ((7,), np.uint8), ((2, 3, 4), np.uint8)):
        batch = buffers.take(shape, dtype)
        assert batch.shape == shape and batch.dtype == dtype
        assert batch.ctypes.data % ALIGNMENT == 0 and batch.flags.c_contiguous


def test_records_of_about_one_size_share_memory_in_turn() -> None:
    buffers = Buffers(keep=2)
    held, addresses = [buffers.bytes(70_000), buffers.bytes(70_001)], set()
    assert [len(record) for record in held] == [70_000, 70_001] and not np.shares_memory(*held)
    for size in range(80_000, 80_010):
        record = buffers.bytes(size)
        addresses.add(np.frombuffer(record, np.uint8).ctypes.data)
        del record
    assert len(addresses) == 1
