"""Runs ONNX files in the OpenCV of the Python that runs this script; reads jobs from the standard input.

A job is a line of JSON: {"file": ONNX file, "fed": .npz of the inputs, "names": [outputs], "found": .npz to write}. The
answer is a line of JSON: {"error": its own words, or null}. The first line says which OpenCV it is.
"""

import json
import sys

import cv2
import numpy as np


def run(file, fed, names, found):
    net = cv2.dnn.readNetFromONNX(file)
    with np.load(fed) as inputs:
        for name in inputs.files:
            net.setInput(inputs[name], name)
    tops = net.forward(names)
    np.savez(found, **{str(index): np.asarray(top) for index, top in enumerate(tops)})


def main():
    print(json.dumps({"version": cv2.__version__}), flush=True)
    cv2.setNumThreads(1)
    for line in sys.stdin:
        try:
            run(**json.loads(line))
            error = None
        except Exception as raised:
            error = str(raised).strip()
        print(json.dumps({"error": error}), flush=True)


if __name__ == "__main__":
    main()
