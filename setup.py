"""Finds the packages: keras_caffe.converters lives in converters/, everything else where its name says."""

from setuptools import find_packages, setup

PACKAGE = "keras_caffe"
CONVERTERS = f"{PACKAGE}.converters"  # keras_caffe/converters is a symlink in a checkout and absent elsewhere

setup(
    packages=[
        *find_packages(include=[PACKAGE, f"{PACKAGE}.*"], exclude=[CONVERTERS, f"{CONVERTERS}.*"]),
        CONVERTERS,
        *(f"{CONVERTERS}.{name}" for name in find_packages("converters")),
    ],
    package_dir={CONVERTERS: "converters"},
    package_data={
        f"{PACKAGE}": ["py.typed"],
        f"{PACKAGE}.proto": ["caffe.proto", "caffe.desc"],
        f"{PACKAGE}.samples": ["*.md", "*.prototxt", "*.caffemodel", "db/*/data.mdb"],
    },
    include_package_data=False,
)
