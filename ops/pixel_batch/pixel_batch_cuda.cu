// Neighbouring threads read neighbouring pixels.
#include "ops/common/launch.h"
#include "ops/pixel_batch/pixel_batch.h"

namespace keras_caffe {
namespace {

template <typename I>
struct Batch {
  Divider<I> channels, height, width;
  I plane;
  I mean_channel, mean_row, mean_column;  // how far apart the mean's values lie, 0 if it has but one
  float scale;
  bool channels_last;

  explicit Batch(const PixelShape& s)
      : channels(s.channels),
        height(s.height),
        width(s.width),
        plane(static_cast<I>(s.height * s.width)),
        scale(s.scale),
        channels_last(s.channels_last != 0) {
    const bool whole = s.means > s.channels;
    const int64_t pixel = channels_last ? s.channels : 1;
    mean_channel = static_cast<I>(s.means <= 1 ? 0 : !whole || channels_last ? 1 : s.height * s.width);
    mean_row = static_cast<I>(whole ? s.width * pixel : 0);
    mean_column = static_cast<I>(whole ? pixel : 0);
  }
};

// A unit is a pixel, or (channels last, where that lets neighbours write beside each other) one value of it.
template <typename I>
__global__ void PixelKernel(Batch<I> b, I units, const Image* __restrict__ images, const float* __restrict__ mean,
                            float* __restrict__ batch) {
  const I channels = b.channels.divisor;
  for (I i = FirstUnit<I>(); i < units; i += UnitStep<I>()) {
    I n = i, c = 0;
    if (b.channels_last) c = Take(b.channels, &n);
    const I column = Take(b.width, &n), row = Take(b.height, &n);
    const Image image = images[n];
    const I from = image.mirror ? b.width.divisor - 1 - column : column;
    const int64_t pixel = (image.top + static_cast<int64_t>(row)) * image.width + image.left + from;
    const uint8_t* values = image.pixels + pixel * channels;
    const float* means = mean ? mean + row * b.mean_row + from * b.mean_column : nullptr;
    float* out = batch + (b.channels_last ? i - c : n * b.plane * channels + row * b.width.divisor + column);
    const I step = b.channels_last ? 1 : b.plane, end = b.channels_last ? c + 1 : channels;
    for (; c < end; ++c) {
      const float x = values[channels - 1 - c], m = means ? means[c * b.mean_channel] : 0.0f;
      out[c * step] = (x - m) * b.scale;
    }
  }
}

template <typename I>
int Run(const PixelShape& shape, const Image* images, const float* mean, float* batch, void* stream) {
  const int64_t units = shape.batch * shape.height * shape.width * (shape.channels_last ? shape.channels : 1);
  return Launch(PixelKernel<I>, units, stream, Batch<I>(shape), static_cast<I>(units), images, mean, batch);
}

}  // namespace
}  // namespace keras_caffe

extern "C" int keras_caffe_pixel_batch(const KerasCaffePixelShape* shape, const KerasCaffeImage* images,
                                       const float* mean, float* batch, void* stream) {
  using namespace keras_caffe;
  const int64_t values = shape->batch * shape->channels * shape->height * shape->width;
  const float* given = shape->means > 0 ? mean : nullptr;
  return (values < kShort ? Run<uint32_t> : Run<int64_t>)(*shape, images, given, batch, stream);
}
