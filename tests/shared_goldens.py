"""Where the goldens are: those in the repository, and third-party ones in the folder KERAS_CAFFE_SHARED."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
GOLDENS = ROOT / "tests" / "goldens"
SHARED = Path(os.environ.get("KERAS_CAFFE_SHARED", ROOT.parent / "shared")) / "golden"
WILD, MODELS = SHARED / "wild", SHARED / "models"

needs_wild = pytest.mark.skipif(not WILD.is_dir(), reason="golden/wild is not there (KERAS_CAFFE_SHARED)")
needs_models = pytest.mark.skipif(not MODELS.is_dir(), reason="golden/models is not there (KERAS_CAFFE_SHARED)")
