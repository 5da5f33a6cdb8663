"""`python -m keras_caffe`: the command line."""

from keras_caffe.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
