"""One of two processes of a MultiWorkerMirroredStrategy; prints the labels that it read. See test_dataset.py."""

import json
import os
import sys
import time
from pathlib import Path

net, index, folder = sys.argv[1], int(sys.argv[2]), Path(sys.argv[3])


def free_port() -> int:
    import socket

    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


(folder / f"port{index}.new").write_text(str(free_port()))
(folder / f"port{index}.new").rename(folder / f"port{index}")
while not (folder / f"port{1 - index}").exists():
    time.sleep(0.05)
workers = [f"127.0.0.1:{(folder / f'port{i}').read_text()}" for i in (0, 1)]
os.environ["TF_CONFIG"] = json.dumps({"cluster": {"worker": workers}, "task": {"type": "worker", "index": index}})

import tensorflow as tf  # noqa: E402

from keras_caffe.data import dataset  # noqa: E402

strategy = tf.distribute.MultiWorkerMirroredStrategy()
assert strategy.num_replicas_in_sync == 2
shared = strategy.distribute_datasets_from_function(lambda context: dataset(net, epochs=1, input_context=context))
labels = []
for _, batch in zip(range(6), shared, strict=False):  # 12 and 11 records of 23, two a batch
    labels += [int(x) for value in strategy.experimental_local_results(batch["label"]) for x in value.numpy()]
print(json.dumps(labels))
