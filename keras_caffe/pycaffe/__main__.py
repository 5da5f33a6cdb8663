"""Runs a script that imports caffe, unchanged: python -m keras_caffe.pycaffe SCRIPT, or -m MODULE, [ARGUMENT ...].

With --notebook SCRIPT is a notebook; its results are written into it, or into the file that the one ARGUMENT names.
"""

from __future__ import annotations

import argparse
import sys

from keras_caffe.errors import CaffeError
from keras_caffe.pycaffe.notebook import run_notebook
from keras_caffe.pycaffe.script import check, run, run_module


def main() -> int:
    parser = argparse.ArgumentParser("python -m keras_caffe.pycaffe", description=__doc__, allow_abbrev=False)
    parser.add_argument("-m", dest="is_module", action="store_true", help="SCRIPT is a module, as for python -m")
    parser.add_argument("--notebook", action="store_true", help="SCRIPT is a notebook (.ipynb)")
    parser.add_argument("script", metavar="SCRIPT", help="a script for Caffe's Python interface")
    parser.add_argument("arguments", metavar="ARGUMENT", nargs=argparse.REMAINDER, help="the script's own arguments")
    chosen = parser.parse_args()
    if chosen.is_module:
        run_module(chosen.script, chosen.arguments)
        return 0
    try:
        if chosen.notebook:
            run_notebook(chosen.script, *chosen.arguments[:1])
            return 0
        check(chosen.script)
    except CaffeError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    run(chosen.script, chosen.arguments)
    return 0


if __name__ == "__main__":
    sys.exit(main())
