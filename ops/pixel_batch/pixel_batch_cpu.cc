// A row's bytes are first put into the batch's order, then all of them go the same way.
#include "ops/pixel_batch/pixel_batch.h"

#include <algorithm>

namespace keras_caffe {
namespace {

KERAS_CAFFE_TARGETS void Reversed(const uint8_t* __restrict x, int64_t size, uint8_t* __restrict y) {
  for (int64_t i = 0; i < size; ++i) y[i] = x[size - 1 - i];
}

// Three planes, the last channel first.
KERAS_CAFFE_TARGETS void Planes(const uint8_t* __restrict x, int64_t width, uint8_t* __restrict y) {
  uint8_t *second = y + width, *third = second + width;
  for (int64_t i = 0; i < width; ++i) {
    third[i] = x[3 * i];
    second[i] = x[3 * i + 1];
    y[i] = x[3 * i + 2];
  }
}

KERAS_CAFFE_TARGETS void Swapped(const uint8_t* __restrict x, int64_t width, uint8_t* __restrict y) {
  for (int64_t i = 0; i < width; ++i) {
    const uint8_t first = x[3 * i], second = x[3 * i + 1], third = x[3 * i + 2];
    y[3 * i] = third;
    y[3 * i + 1] = second;
    y[3 * i + 2] = first;
  }
}

KERAS_CAFFE_TARGETS void Scaled(const uint8_t* __restrict x, int64_t size, const float* __restrict mean, float scale,
                                float* __restrict y) {
  for (int64_t i = 0; i < size; ++i) y[i] = (x[i] - mean[i]) * scale;
}

// `x`, or `y` with the row in the batch's order: (C, W) or (W, C). `spare` has room for a row.
const uint8_t* Ordered(const PixelShape& s, const uint8_t* x, bool mirror, uint8_t* spare, uint8_t* y) {
  const int64_t size = s.width * s.channels;
  if (s.channels == 1 && !mirror) return x;
  if (s.channels == 1 || (s.channels_last && mirror)) {  // pixels and channels both the other way round
    Reversed(x, size, y);
  } else if (s.channels_last) {
    Swapped(x, s.width, y);
  } else if (!mirror) {
    Planes(x, s.width, y);
  } else {
    Planes(x, s.width, spare);
    for (int64_t c = 0; c < s.channels; ++c) Reversed(spare + c * s.width, s.width, y + c * s.width);
  }
  return y;
}

// A line of one channel, whose pixels lie `step` bytes apart.
KERAS_CAFFE_TARGETS void Line(const uint8_t* __restrict x, int64_t step, int64_t width, uint8_t* __restrict y) {
  if (step == 3) {
    for (int64_t i = 0; i < width; ++i) y[i] = x[3 * i];
  } else {
    for (int64_t i = 0; i < width; ++i) y[i] = x[step * i];
  }
}

// (C, W) -> (W, C)
KERAS_CAFFE_TARGETS void Interleaved(const uint8_t* __restrict x, int64_t channels, int64_t width,
                                     uint8_t* __restrict y) {
  const uint8_t *second = x + width, *third = second + width;
  for (int64_t i = 0; channels == 3 && i < width; ++i) {
    y[3 * i] = x[i];
    y[3 * i + 1] = second[i];
    y[3 * i + 2] = third[i];
  }
  for (int64_t c = 0; channels != 3 && c < channels; ++c) {
    for (int64_t i = 0; i < width; ++i) y[i * channels + c] = x[c * width + i];
  }
}

// Row `h` of all channels, (C, W), mirrored or not. `spare` has room for a line.
void Lines(const KerasCaffeWindow& w, int64_t h, uint8_t* spare, uint8_t* y) {
  for (int64_t c = 0; c < w.channels; ++c, y += w.width) {
    const uint8_t* x = w.pixels + c * w.channel + h * w.row;
    if (w.column == 1 && w.mirror) {
      Reversed(x, w.width, y);
    } else if (w.column == 1) {
      std::copy_n(x, w.width, y);
    } else if (w.mirror) {
      Line(x, w.column, w.width, spare);
      Reversed(spare, w.width, y);
    } else {
      Line(x, w.column, w.width, y);
    }
  }
}

}  // namespace

RowMeans::RowMeans(const PixelShape& s, const float* mean) {
  const bool whole = s.means > s.channels;
  const int64_t rows = whole ? s.height : 1, row = s.width * s.channels, size = rows * row;
  values_ = s.channels_last ? row : s.width;
  step_ = whole ? values_ : 0;
  plane_ = s.channels_last ? 0 : rows * s.width;
  for (bool mirror : {false, true}) {
    std::vector<float>& means = means_[mirror];
    means.assign(size, 0.0f);
    for (int64_t i = 0; s.means && i < size; ++i) {
      const int64_t c = s.channels_last ? i % s.channels : i / plane_, pixel = s.channels_last ? s.channels : 1;
      const int64_t w = i / pixel % s.width, from = mirror ? i + (s.width - 1 - 2 * w) * pixel : i;
      means[i] = mean[whole ? from : s.means > 1 ? c : 0];
    }
  }
}

const float* RowMeans::row(int64_t h, int64_t plane, bool mirror) const {
  return means_[mirror].data() + plane * plane_ + h * step_;
}

void TransformPixels(const PixelShape& s, const Image& image, const RowMeans& means, float* out) {
  const int64_t size = s.width * s.channels, planes = s.channels_last ? 1 : s.channels, row = size / planes;
  std::vector<uint8_t> memory(2 * size);
  const bool mirror = image.mirror;
  for (int64_t h = 0; h < s.height; ++h) {
    const uint8_t* x = image.pixels + ((image.top + h) * image.width + image.left) * s.channels;
    const uint8_t* ordered = Ordered(s, x, mirror, memory.data() + size, memory.data());
    for (int64_t p = 0; p < planes; ++p) {
      Scaled(ordered + p * row, row, means.row(h, p, mirror), s.scale, out + (p * s.height + h) * row);
    }
  }
}

}  // namespace keras_caffe

extern "C" void keras_caffe_transform_window(const KerasCaffeWindow* window) {
  using namespace keras_caffe;
  const KerasCaffeWindow& w = *window;
  const int64_t size = w.width * w.channels, planes = w.channels_last ? 1 : w.channels, row = size / planes;
  const bool turned = w.channels_last && w.channels > 1;
  std::vector<uint8_t> memory(3 * size);
  uint8_t *lines = memory.data(), *pixels = lines + size, *spare = pixels + size;
  const std::vector<float> none(w.mean ? 0 : row);
  for (int64_t h = 0; h < w.height; ++h) {
    Lines(w, h, spare, lines);
    if (turned) Interleaved(lines, w.channels, w.width, pixels);
    for (int64_t p = 0; p < planes; ++p) {
      const float* mean = w.mean ? w.mean + p * w.mean_plane + h * w.mean_row : none.data();
      Scaled((turned ? pixels : lines) + p * row, row, mean, w.scale, w.out + (p * w.height + h) * row);
    }
  }
}
