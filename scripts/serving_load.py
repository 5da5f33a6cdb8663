"""Puts an export behind MLServer, asks it from several clients, and swaps versions meanwhile: no request may fail.

MLServer speaks the open inference protocol over HTTP, as KServe, Triton and OpenVINO Model Server do. Install it beside
this package: `pip install mlserver`. Each answer is compared with what the two versions of LeNet give.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
RUNTIME = '''
"""A SavedModel behind MLServer, with TensorFlow alone."""
import numpy as np
import tensorflow as tf
from mlserver import MLModel
from mlserver.codecs import NumpyCodec
from mlserver.types import InferenceResponse


class SavedModel(MLModel):
    async def load(self):
        self.whole = tf.saved_model.load(self.settings.parameters.uri)
        self.served = self.whole.signatures["serving_default"]
        (self.input,) = self.served.structured_input_signature[1]
        return True

    async def predict(self, payload):
        array = NumpyCodec.decode_input(payload.inputs[0]).astype("float32")
        found = self.served(**{self.input: tf.constant(array)})
        outputs = [NumpyCodec.encode_output(name, value.numpy()) for name, value in found.items()]
        return InferenceResponse(model_name=self.name, outputs=outputs)
'''
START, TIMEOUT = 180, 60  # seconds


def make_versions(folder: Path) -> list[np.ndarray]:
    """Two versions of LeNet, the second with other weights, under folder/exports; what each gives for the picture."""
    import keras_caffe
    from keras_caffe import samples

    found = []
    for version in (1, 2):
        model = keras_caffe.load(samples.path("lenet.prototxt"), samples.path("lenet.caffemodel"))
        params = model.get_caffe_params()
        params["ip2"] = [array / version for array in params["ip2"]]
        model.set_caffe_params(params)
        keras_caffe.export(model, folder / "exports", version)
        found.append(np.asarray(model.predict_on_batch(picture())))
    return found


def picture() -> np.ndarray:
    return np.random.default_rng(0).random((1, 28, 28, 1), "float32")


def settings(folder: Path, version: int) -> None:
    parameters = {"uri": str(folder / "exports" / str(version))}
    told = {"name": "lenet", "implementation": "runtime.SavedModel", "parameters": parameters}
    (folder / "lenet").mkdir(exist_ok=True)
    new = folder / "lenet" / ".new"
    new.write_text(json.dumps(told))
    new.replace(folder / "lenet" / "model-settings.json")


def port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as one:
        return one.getsockname()[1]


def serve(folder: Path) -> tuple[subprocess.Popen[bytes], int]:
    """MLServer on a folder, ready to answer."""
    (folder / "runtime.py").write_text(RUNTIME)
    number = port()
    told = {
        "host": "127.0.0.1",
        "http_port": number,
        "grpc_port": port(),
        "metrics_endpoint": None,
        "parallel_workers": 0,
    }
    (folder / "settings.json").write_text(json.dumps(told))
    environment = {**os.environ, "PYTHONPATH": str(folder)}
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(
            [sys.executable, "-m", "mlserver.cli.main", "start", str(folder)], env=environment, stdout=log, stderr=log
        )
    until = time.monotonic() + START
    while time.monotonic() < until and server.poll() is None:
        try:
            if (
                ask(http.client.HTTPConnection("127.0.0.1", number, timeout=5), "GET", "/v2/models/lenet/ready")[0]
                == 200
            ):
                return server, number
        except OSError:
            pass
        time.sleep(0.3)
    server.kill()
    raise SystemExit(f"MLServer does not start:\n{(folder / 'log').read_text()[-3000:]}")


def ask(connection: http.client.HTTPConnection, method: str, path: str, body: Any = None) -> tuple[int, bytes]:
    connection.request(method, path, None if body is None else json.dumps(body), {"Content-Type": "application/json"})
    answer = connection.getresponse()
    return answer.status, answer.read()


class Client(threading.Thread):
    """Asks again and again until `until`; keeps the seconds of each request, which version answered, and failures."""

    def __init__(self, number: int, until: float, wanted: Sequence[np.ndarray]) -> None:
        super().__init__()
        self.number, self.until, self.wanted = number, until, wanted
        self.seconds: list[float] = []
        self.versions = [0] * len(wanted)
        self.failures: list[str] = []

    def run(self) -> None:
        x = picture()
        sent = {"name": "data", "shape": x.shape, "datatype": "FP32", "data": x.ravel().tolist()}
        connection = http.client.HTTPConnection("127.0.0.1", self.number, timeout=TIMEOUT)
        while time.monotonic() < self.until:
            start = time.monotonic()
            try:
                status, answer = ask(connection, "POST", "/v2/models/lenet/infer", {"inputs": [sent]})
                self._count(status, answer)
            except (OSError, http.client.HTTPException, ValueError, KeyError) as error:
                self.failures.append(repr(error))
                connection.close()
            self.seconds.append(time.monotonic() - start)

    def _count(self, status: int, answer: bytes) -> None:
        if status != 200:
            self.failures.append(f"{status}: {answer[:200]!r}")
            return
        found = np.array(json.loads(answer)["outputs"][0]["data"], "float32")
        right = [np.allclose(found, one.ravel(), atol=1e-5) for one in self.wanted]
        if not any(right):
            self.failures.append(f"another answer: {found}")
        else:
            self.versions[right.index(True)] += 1


def main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--swap", type=float, default=10, help="seconds between two swaps of the version")
    args = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        wanted = make_versions(folder)
        settings(folder, 1)
        server, number = serve(folder)
        try:
            until = time.monotonic() + args.seconds
            clients = [Client(number, until, wanted) for _ in range(args.clients)]
            for client in clients:
                client.start()
            swaps, failures = swap(folder, number, until, args.swap)
            for client in clients:
                client.join()
        finally:
            server.terminate()
            server.wait()
    failures += [failure for client in clients for failure in client.failures]
    seconds = sorted(second for client in clients for second in client.seconds)
    versions = np.sum([client.versions for client in clients], axis=0)
    p50, p99 = statistics.median(seconds), seconds[int(0.99 * (len(seconds) - 1))]
    print(f"{len(seconds)} requests of {args.clients} clients in {args.seconds:.0f} s, {swaps} swaps of {versions}")
    told = {"p50": p50, "p99": p99, "slowest": seconds[-1]}
    print(f"failed: {len(failures)}; {', '.join(f'{name} {1000 * s:.0f} ms' for name, s in told.items())}")
    print("\n".join(failures[:10]))
    return 1 if failures or not swaps else 0


def swap(folder: Path, number: int, until: float, every: float) -> tuple[int, list[str]]:
    """Loads the other version every so many seconds; how often, and what failed."""
    swaps, failures = 0, []
    while time.monotonic() + every < until:
        time.sleep(every)
        settings(folder, 2 if swaps % 2 == 0 else 1)
        connection = http.client.HTTPConnection("127.0.0.1", number, timeout=TIMEOUT)
        status, answer = ask(connection, "POST", "/v2/repository/models/lenet/load")
        if status != 200:
            failures.append(f"load: {status}: {answer[:300]!r}")
        swaps += 1
    return swaps, failures


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
