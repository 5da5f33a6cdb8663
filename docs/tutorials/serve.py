# %% [markdown]
# # Serve a net with its preprocessing, and ask over REST
#
# You put decoding, scaling and the class names into the model that you serve. Callers then send a PNG and get an
# answer; they need not know how Caffe prepares pixels.
#
# ## Export
#
# `inputs="image_bytes"` lets the model take encoded pictures, `preprocessing` repeats what the net's
# `transform_param` says, and `labels` names the classes. The result is a version of the model as TensorFlow Serving
# reads it, with only TensorFlow's own operations.

# %%
import base64
import io
import json
import threading
import urllib.request
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import numpy as np
import tensorflow as tf
from PIL import Image

import keras_caffe
from keras_caffe import plots, samples

model = keras_caffe.load(samples.path("lenet.prototxt"), samples.path("lenet.caffemodel"))
NAMES = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
version = keras_caffe.export(
    model, "models/lenet", inputs="image_bytes", preprocessing={"scale": samples.SCALE}, labels=NAMES
)
print(version)
print(*sorted(str(path.relative_to(version)) for path in Path(version).iterdir()), sep="\n")

# %% [markdown]
# ## A server
#
# In production this folder goes to TensorFlow Serving:
#
#     docker run --rm -p 8501:8501 -v "$PWD/models/lenet:/models/lenet" -e MODEL_NAME=lenet tensorflow/serving
#
# So that this page runs anywhere, a stand-in of twenty lines takes its place. It is far from TensorFlow Serving: it
# knows one model, handles one request at a time, and has only the part of the REST interface that this page uses. It
# loads the folder with plain TensorFlow, without keras_caffe.

# %%
signatures = tf.saved_model.load(version).signatures


class StandIn(BaseHTTPRequestHandler):
    """Answers POST /v1/models/lenet:predict in the shape of TensorFlow Serving's REST interface."""

    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        pictures = [base64.b64decode(instance["image_bytes"]["b64"]) for instance in asked["instances"]]
        run = signatures[asked.get("signature_name", "serving_default")]
        found = {name: np.array(value).tolist() for name, value in run(image_bytes=tf.constant(pictures)).items()}
        rows = [dict(zip(found, values, strict=True)) for values in zip(*found.values(), strict=True)]
        predictions = rows if len(found) > 1 else [value for row in rows for value in row.values()]
        body = json.dumps({"predictions": predictions}, default=bytes.decode).encode()
        self.send_response(200)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments):
        """Says nothing."""


server = HTTPServer(("127.0.0.1", 0), StandIn)
threading.Thread(target=server.serve_forever, daemon=True).start()
address = f"http://127.0.0.1:{server.server_port}/v1/models/lenet:predict"

# %% [markdown]
# ## Ask
#
# A caller needs a picture and an address. Binary data travel as `{"b64": ...}`.


# %%
def png(pixels):
    """A picture as the bytes of a PNG file."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "png")
    return file.getvalue()


def ask(pictures, **more):
    instances = [{"image_bytes": {"b64": base64.b64encode(picture).decode()}} for picture in pictures]
    body = json.dumps({"instances": instances, **more}).encode()
    with urllib.request.urlopen(urllib.request.Request(address, body), timeout=60) as answer:
        return json.load(answer)["predictions"]


images, labels = samples.digits()
answers = ask([png(image[0]) for image in images[:20]], signature_name="classify")
for name, score in zip(answers[0]["classes"], answers[0]["scores"], strict=True):
    print(f"{score:.4f}  {name}")

# %%
told = [NAMES.index(answer["classes"][0]) for answer in answers]
accuracy = np.mean(told == labels[:20])
plots.grid(images[:20, 0], columns=10, title=f"{' '.join(map(str, told[:10]))} / {' '.join(map(str, told[10:]))}")

# %% [markdown]
# Without a signature's name the answer is the blob itself, ten numbers, the same as the model's own:

# %%
(prob,) = ask([png(images[0, 0])])
own = model.predict(images[:1].transpose(0, 2, 3, 1) * samples.SCALE, verbose=0)[0]
print(f"{np.abs(np.array(prob) - own).max():.0e} is the largest difference")
server.shutdown()
server.server_close()

# %% [markdown]
# A picture of another size is resized as in Caffe. The guide to [serving](../serving.md) covers other preprocessing,
# gRPC, ONNX and TensorFlow Lite. Next: [train a detector](detector.md).
