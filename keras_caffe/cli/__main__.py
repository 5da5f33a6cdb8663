"""`python -m keras_caffe.cli`: the command line without its script."""

import sys

from keras_caffe.cli import main

sys.exit(main())
