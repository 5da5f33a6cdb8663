// Each thread goes through the batch's values as they lie there; neighbours read neighbouring pixels.
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

template <typename I>
__global__ void PixelKernel(Batch<I> b, I units, const Image* __restrict__ images, const float* __restrict__ mean,
                            float* __restrict__ batch) {
  const I step = static_cast<I>(gridDim.x) * kThreads;
  for (I i = static_cast<I>(blockIdx.x) * kThreads + threadIdx.x; i < units; i += step) {
    I n = i, c = 0;
    if (b.channels_last) c = Take(b.channels, &n);
    const I column = Take(b.width, &n), row = Take(b.height, &n);
    if (!b.channels_last) c = Take(b.channels, &n);
    const Image image = images[n];
    const I from = image.mirror ? b.width.divisor - 1 - column : column;
    const int64_t pixel = (image.top + static_cast<int64_t>(row)) * image.width + image.left + from;
    const float x = image.pixels[pixel * b.channels.divisor + (b.channels.divisor - 1 - c)];
    const float m = mean ? mean[c * b.mean_channel + row * b.mean_row + from * b.mean_column] : 0.0f;
    batch[i] = (x - m) * b.scale;
  }
}

template <typename I>
int Run(const PixelShape& shape, int64_t units, const Image* images, const float* mean, float* batch, void* stream) {
  return Launch(PixelKernel<I>, units, stream, Batch<I>(shape), static_cast<I>(units), images, mean, batch);
}

}  // namespace
}  // namespace keras_caffe

extern "C" int keras_caffe_pixel_batch(const KerasCaffePixelShape* shape, const KerasCaffeImage* images,
                                       const float* mean, float* batch, void* stream) {
  using namespace keras_caffe;
  const int64_t units = shape->batch * shape->channels * shape->height * shape->width;
  const float* given = shape->means > 0 ? mean : nullptr;
  return (units < kShort ? Run<uint32_t> : Run<int64_t>)(*shape, units, images, given, batch, stream);
}
