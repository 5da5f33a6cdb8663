// Decoded images -> a float batch (data_transformer.cpp): a window of each, mirrored or not, (pixel - mean) * scale, the
// mean read where the pixel comes from. Images are red-green-blue as decoders give them, the batch is blue-green-red.
#ifndef KERAS_CAFFE_OPS_PIXEL_BATCH_PIXEL_BATCH_H_
#define KERAS_CAFFE_OPS_PIXEL_BATCH_PIXEL_BATCH_H_

#include <cstdint>
#include <vector>

#include "ops/common/parallel.h"

struct KerasCaffeImage {  // one of them, and what is kept of it
  const uint8_t* pixels;  // (H, W, C)
  int64_t width;
  int32_t mirror, top, left;
};

struct KerasCaffePixelShape {
  int64_t batch, channels, height, width;  // of the batch
  int64_t means;  // numbers in the mean: 0, 1, C, or C * H * W in the order of the batch, that of a window not mirrored
  float scale;
  int32_t channels_last;
};

struct KerasCaffeWindow {  // of one image of any order of axes, blue-green-red, and what becomes of it
  const uint8_t* pixels;         // its first
  int64_t channel, row, column;  // how far apart the next ones lie
  const float* mean;             // below it, in the order of `out`, mirrored as it is; or null
  int64_t mean_plane, mean_row;  // how far apart the mean's planes and rows lie, 0 where there is but one
  float* out;                    // (C, H, W) or (H, W, C)
  int64_t channels, height, width;
  float scale;
  int32_t mirror, channels_last;
};

namespace keras_caffe {

using Image = KerasCaffeImage;
using PixelShape = KerasCaffePixelShape;

// The mean as the rows of a window meet it.
class RowMeans {
 public:
  RowMeans(const PixelShape& shape, const float* mean);
  const float* row(int64_t h, int64_t plane, bool mirror) const;

 private:
  int64_t values_, step_, plane_;    // of a row; from row to row, and from plane to plane
  std::vector<float> means_[2];      // as it is, and mirrored
};

// Writes the window of one image into its place in the batch, which begins at `out`.
void TransformPixels(const PixelShape& shape, const Image& image, const RowMeans& means, float* out);

}  // namespace keras_caffe

// The same on a GPU (pixel_batch_cuda.cu); `images` and their pixels are there. 0, or a cudaError_t.
extern "C" int keras_caffe_pixel_batch(const KerasCaffePixelShape* shape, const KerasCaffeImage* images,
                                       const float* mean, float* batch, void* stream);

// A window in memory of the caller's, on the CPU, without TensorFlow: keras_caffe/ops/window.py calls it.
extern "C" __attribute__((visibility("default"))) void keras_caffe_transform_window(const KerasCaffeWindow* window);

#endif  // KERAS_CAFFE_OPS_PIXEL_BATCH_PIXEL_BATCH_H_
