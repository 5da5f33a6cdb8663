// The threads go through the batch's values as they lie there; the records are read in nearly that order.
#include "ops/common/launch.h"
#include "ops/datum_batch/datum_batch.h"

namespace keras_caffe {
namespace {

constexpr int kTurns = 4;

template <typename I>
struct Batch {
  Divider<I> channels, height, width;  // of the windows
  I record, row;                       // values of a record, of one of its rows
  I plane;                             // of one of its planes
  I mean_channel, mean_row, mean_column;  // how far apart the mean's values lie, 0 if it has but one
  float scale;
  bool channels_last;

  explicit Batch(const DatumShape& s)
      : channels(s.channels),
        height(s.out_height),
        width(s.out_width),
        record(static_cast<I>(s.channels * s.height * s.width)),
        row(static_cast<I>(s.width)),
        plane(static_cast<I>(s.height * s.width)),
        mean_channel(static_cast<I>(s.mean_channels > 1 ? s.mean_height * s.mean_width : 0)),
        mean_row(static_cast<I>(s.mean_height * s.mean_width > 1 ? s.mean_width : 0)),
        mean_column(static_cast<I>(s.mean_height * s.mean_width > 1 ? 1 : 0)),
        scale(s.scale),
        channels_last(s.channels_last != 0) {}
};

struct Source {
  const uint8_t* pixels;
  const DatumWindow* windows;
  const float* mean;
};

// Where in the records value i of the batch comes from, and what its mean is.
template <typename I>
KERAS_CAFFE_DEVICE I Place(const Batch<I>& b, const Source& source, I i, float* mean) {
  I n = i, c = 0;
  if (b.channels_last) c = Take(b.channels, &n);
  const I column = Take(b.width, &n), line = Take(b.height, &n);
  if (!b.channels_last) c = Take(b.channels, &n);
  const DatumWindow window = source.windows[n];
  const I w = static_cast<I>(window.left) + (window.mirror ? b.width.divisor - 1 - column : column);
  const I h = static_cast<I>(window.top) + line;
  *mean = source.mean ? source.mean[c * b.mean_channel + h * b.mean_row + w * b.mean_column] : 0.0f;
  return n * b.record + c * b.plane + h * b.row + w;
}

// Each thread takes kTurns values a block's width apart and has all of them on the way before it writes the first.
template <typename I>
__global__ void DatumKernel(Batch<I> b, I units, Source source, float* __restrict__ batch) {
  const I step = static_cast<I>(gridDim.x) * kThreads * kTurns;
  for (I i = static_cast<I>(blockIdx.x) * kThreads * kTurns + threadIdx.x; i < units; i += step) {
    float pixel[kTurns] = {}, mean[kTurns] = {};
#pragma unroll
    for (int t = 0; t < kTurns; ++t) {
      const I at = i + t * kThreads;
      if (at < units) pixel[t] = static_cast<float>(source.pixels[Place(b, source, at, &mean[t])]);
    }
#pragma unroll
    for (int t = 0; t < kTurns; ++t) {
      const I at = i + t * kThreads;
      if (at < units) batch[at] = (pixel[t] - mean[t]) * b.scale;
    }
  }
}

template <typename I>
int Run(const DatumShape& shape, int64_t units, const Source& source, float* batch, void* stream) {
  return Launch(DatumKernel<I>, (units + kTurns - 1) / kTurns, stream, Batch<I>(shape), static_cast<I>(units), source,
                batch);
}

}  // namespace
}  // namespace keras_caffe

extern "C" int keras_caffe_datum_batch(const KerasCaffeDatumShape* shape, const uint8_t* pixels,
                                       const KerasCaffeDatumWindow* windows, const float* mean, float* batch,
                                       void* stream) {
  using namespace keras_caffe;
  const int64_t values = shape->batch * shape->channels, units = values * shape->out_height * shape->out_width;
  const Source source{pixels, windows, shape->mean_channels > 0 ? mean : nullptr};
  const bool small = std::max(units, values * shape->height * shape->width) < kShort;
  return (small ? Run<uint32_t> : Run<int64_t>)(*shape, units, source, batch, stream);
}
