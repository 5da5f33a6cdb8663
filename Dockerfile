# A ready environment with the command line, native operations built in:
#   docker build -t keras_caffe .
#   docker run --rm -v "$PWD:/work" keras_caffe check deploy.prototxt net.caffemodel
#   docker run --rm -it -v "$PWD:/work" --entrypoint python keras_caffe
FROM python:3.12-slim-bookworm AS build
# Debian's newest compiler will do.
# hadolint ignore=DL3008
RUN apt-get update && apt-get install --yes --no-install-recommends g++ && rm -rf /var/lib/apt/lists/*
WORKDIR /source
COPY . .
RUN python -m venv /opt/keras_caffe
ENV PATH=/opt/keras_caffe/bin:$PATH KERAS_CAFFE_BUILD_OPS=1
# pyproject.toml states the ranges of versions.
# hadolint ignore=DL3013
RUN pip install --no-cache-dir "setuptools>=77,<90" "tensorflow-cpu>=2.16.2,<3" \
 && pip install --no-cache-dir --no-build-isolation ".[tensorflow-cpu,images,leveldb,onnx,view]"

FROM python:3.12-slim-bookworm
COPY --from=build /opt/keras_caffe /opt/keras_caffe
RUN useradd --uid 1000 --create-home caffe && mkdir /work && chown caffe /work
USER 1000
WORKDIR /work
ENV PATH=/opt/keras_caffe/bin:$PATH TF_CPP_MIN_LOG_LEVEL=2
ENTRYPOINT ["keras-caffe"]
CMD ["--help"]
