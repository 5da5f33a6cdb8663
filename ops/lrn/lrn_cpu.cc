// The kernels work on rows that are next to each other in memory; other layouts are copied to such rows and back. Window sums start anew at each place, so that nothing is lost to cancellation.
#include "ops/lrn/lrn.h"

#include <algorithm>
#include <cmath>
#include <vector>

namespace keras_caffe {
namespace {

constexpr int64_t kPixels = 16;    // rows that are copied at a time
constexpr int64_t kChannels = 16;  // of a plane that is copied, if the channels are next to each other

// base^-beta in place; the exponents that nets use go by square roots.
KERAS_CAFFE_TARGETS void InversePower(float* base, int64_t size, float beta) {
  if (beta == 0.75f) {
    for (int64_t i = 0; i < size; ++i) base[i] = 1.0f / std::sqrt(base[i] * std::sqrt(base[i]));
  } else if (beta == 0.5f) {
    for (int64_t i = 0; i < size; ++i) base[i] = 1.0f / std::sqrt(base[i]);
  } else {
    for (int64_t i = 0; i < size; ++i) base[i] = std::pow(base[i], -beta);
  }
}

// sums[i] = values[i] + ... + values[i + window - 1]
KERAS_CAFFE_TARGETS void Slide(const float* values, int64_t size, int64_t window, float* sums) {
  if (window == 5) {
    for (int64_t i = 0; i < size; ++i) {
      sums[i] = values[i] + values[i + 1] + values[i + 2] + values[i + 3] + values[i + 4];
    }
    return;
  }
  std::copy(values, values + size, sums);
  for (int64_t j = 1; j < window; ++j) {
    for (int64_t i = 0; i < size; ++i) sums[i] += values[i + j];
  }
}

KERAS_CAFFE_TARGETS void Square(const float* x, int64_t size, float* y) {
  for (int64_t i = 0; i < size; ++i) y[i] = x[i] * x[i];
}

KERAS_CAFFE_TARGETS void Affine(float* x, int64_t size, float factor, float shift) {
  for (int64_t i = 0; i < size; ++i) x[i] = x[i] * factor + shift;
}

KERAS_CAFFE_TARGETS void Multiply(const float* x, const float* power, int64_t size, float* y) {
  for (int64_t i = 0; i < size; ++i) y[i] = x[i] * power[i];
}

// ratios = dy x S^(-beta - 1)
KERAS_CAFFE_TARGETS void Ratios(const float* x, const float* dy, const float* base, const float* power, int64_t size,
                                float* ratios) {
  for (int64_t i = 0; i < size; ++i) ratios[i] = dy[i] * x[i] * power[i] / base[i];
}

KERAS_CAFFE_TARGETS void Combine(const float* x, const float* dy, const float* power, const float* sums, float factor,
                                 int64_t size, float* dx) {
  for (int64_t i = 0; i < size; ++i) dx[i] = dy[i] * power[i] - factor * x[i] * sums[i];
}

// sums over the window around each place, of `count` values with `half` zeros before and behind
struct Window {
  int64_t half;
  std::vector<float> padded;

  Window(int64_t size, int64_t half) : half(half), padded(size + 2 * half) {}
  float* values() { return padded.data() + half; }
  void Sum(int64_t size, float* sums) { Slide(padded.data(), size, 2 * half + 1, sums); }
};

struct Rows {  // the channels of single pixels
  const LrnShape& shape;
  int64_t size;
  float factor;
  Window window;
  std::vector<float> base, power;

  explicit Rows(const LrnShape& shape)
      : shape(shape),
        size(shape.channels),
        factor(shape.alpha / shape.local_size),
        window(size, std::min<int64_t>((shape.local_size - 1) / 2, size - 1)),
        base(size),
        power(size) {}

  void Scales(const float* x) {
    Square(x, size, window.values());
    window.Sum(size, base.data());
    Affine(base.data(), size, factor, shape.k);
    power = base;
    InversePower(power.data(), size, shape.beta);
  }

  void Forward(const float* x, float* y) {
    Scales(x);
    Multiply(x, power.data(), size, y);
  }

  void Backward(const float* x, const float* dy, float* dx) {
    Scales(x);
    Ratios(x, dy, base.data(), power.data(), size, window.values());
    window.Sum(size, base.data());
    Combine(x, dy, power.data(), base.data(), 2 * shape.beta * factor, size, dx);
  }
};

// out = sums over n x n pixels, zeros outside, of a plane whose pixels are `depth` channels
KERAS_CAFFE_TARGETS void Box(const float* in, int64_t height, int64_t width, int64_t depth, int64_t half, float* rows,
                             float* out) {
  const int64_t row = width * depth;
  std::fill(rows, rows + height * row, 0.0f);
  std::fill(out, out + height * row, 0.0f);
  for (int64_t h = 0; h < height; ++h) {
    for (int64_t j = -std::min(half, width - 1); j <= std::min(half, width - 1); ++j) {
      const int64_t begin = std::max<int64_t>(0, -j) * depth, end = std::min(width, width - j) * depth;
      const float* from = in + h * row + j * depth;
      for (int64_t i = begin; i < end; ++i) rows[h * row + i] += from[i];
    }
  }
  for (int64_t h = 0; h < height; ++h) {
    for (int64_t g = std::max<int64_t>(0, h - half); g <= std::min(height - 1, h + half); ++g) {
      for (int64_t i = 0; i < row; ++i) out[h * row + i] += rows[g * row + i];
    }
  }
}

struct Planes {  // whole planes of some channels
  const LrnShape& shape;
  float factor;
  std::vector<float> values, rows, base, power;

  Planes(const LrnShape& shape, int64_t size)
      : shape(shape),
        factor(shape.alpha / (static_cast<float>(shape.local_size) * shape.local_size)),
        values(size),
        rows(size),
        base(size),
        power(size) {}

  void Sum(int64_t depth) {
    Box(values.data(), shape.height, shape.width, depth, (shape.local_size - 1) / 2, rows.data(), base.data());
  }

  void Scales(const float* x, int64_t depth) {
    const int64_t size = shape.height * shape.width * depth;
    Square(x, size, values.data());
    Sum(depth);
    Affine(base.data(), size, factor, 1.0f);
    std::copy(base.data(), base.data() + size, power.data());
    InversePower(power.data(), size, shape.beta);
  }

  void Forward(const float* x, int64_t depth, float* y) {
    Scales(x, depth);
    Multiply(x, power.data(), shape.height * shape.width * depth, y);
  }

  void Backward(const float* x, const float* dy, int64_t depth, float* dx) {
    const int64_t size = shape.height * shape.width * depth;
    Scales(x, depth);
    Ratios(x, dy, base.data(), power.data(), size, values.data());
    Sum(depth);
    Combine(x, dy, power.data(), base.data(), 2 * shape.beta * factor, size, dx);
  }
};

// target[i * depth + j] = source[i * stride_i + j * stride_j]
void Gather(const float* source, int64_t count, int64_t stride_i, int64_t depth, int64_t stride_j, float* target) {
  for (int64_t i = 0; i < count; ++i) {
    for (int64_t j = 0; j < depth; ++j) target[i * depth + j] = source[i * stride_i + j * stride_j];
  }
}

void Scatter(const float* source, int64_t count, int64_t stride_i, int64_t depth, int64_t stride_j, float* target) {
  for (int64_t i = 0; i < count; ++i) {
    for (int64_t j = 0; j < depth; ++j) target[i * stride_i + j * stride_j] = source[i * depth + j];
  }
}

// dx of dy, or (without dy) y of x, across channels
void Across(const LrnShape& shape, const float* x, const float* dy, float* out, const Parallel& parallel) {
  const int64_t plane = shape.height * shape.width, channels = shape.channels;
  const int64_t blocks = (plane + kPixels - 1) / kPixels, size = kPixels * channels;
  parallel(shape.batch * blocks, size * (dy ? 8 : 4), [&](int64_t begin, int64_t end) {
    Rows rows(shape);
    std::vector<float> x_rows(size), dy_rows(size), out_rows(size);
    for (int64_t unit = begin; unit < end; ++unit) {
      const int64_t image = unit / blocks, pixel = unit % blocks * kPixels;
      const int64_t count = std::min(kPixels, plane - pixel);
      const int64_t step = shape.channels_last ? channels : 1, across = shape.channels_last ? 1 : plane;
      const int64_t offset = image * plane * channels + pixel * step;
      const float *from = x_rows.data(), *top = dy_rows.data();
      float* to = out_rows.data();
      const bool in_place = shape.channels_last;
      if (in_place) from = x + offset, top = dy + offset, to = out + offset;
      if (!in_place) Gather(x + offset, count, step, channels, across, x_rows.data());
      if (!in_place && dy) Gather(dy + offset, count, step, channels, across, dy_rows.data());
      for (int64_t i = 0; i < count * channels; i += channels) {
        if (dy) rows.Backward(from + i, top + i, to + i);
        else rows.Forward(from + i, to + i);
      }
      if (!in_place) Scatter(to, count, step, channels, across, out + offset);
    }
  });
}

// The same within channels.
void Within(const LrnShape& shape, const float* x, const float* dy, float* out, const Parallel& parallel) {
  const int64_t plane = shape.height * shape.width, channels = shape.channels;
  const int64_t depth = shape.channels_last ? std::min(kChannels, channels) : 1;
  const int64_t blocks = (channels + depth - 1) / depth, size = plane * depth;
  parallel(shape.batch * blocks, size * (dy ? 40 : 20), [&](int64_t begin, int64_t end) {
    Planes planes(shape, size);
    std::vector<float> x_plane(size), dy_plane(size), out_plane(size);
    for (int64_t unit = begin; unit < end; ++unit) {
      const int64_t image = unit / blocks, channel = unit % blocks * depth;
      const int64_t count = std::min(depth, channels - channel), step = shape.channels_last ? channels : 1;
      const int64_t offset = image * plane * channels + channel * (shape.channels_last ? 1 : plane);
      Gather(x + offset, plane, step, count, 1, x_plane.data());
      if (dy) {
        Gather(dy + offset, plane, step, count, 1, dy_plane.data());
        planes.Backward(x_plane.data(), dy_plane.data(), count, out_plane.data());
      } else {
        planes.Forward(x_plane.data(), count, out_plane.data());
      }
      Scatter(out_plane.data(), plane, step, count, 1, out + offset);
    }
  });
}

void Run(const LrnShape& shape, const float* x, const float* dy, float* out, const Parallel& parallel) {
  if (shape.batch * shape.channels * shape.height * shape.width == 0) return;
  (shape.within_channel ? Within : Across)(shape, x, dy, out, parallel);
}

}  // namespace

void Lrn(const LrnShape& shape, const float* x, float* y, const Parallel& parallel) {
  Run(shape, x, nullptr, y, parallel);
}

void LrnGrad(const LrnShape& shape, const float* x, const float* dy, float* dx, const Parallel& parallel) {
  Run(shape, x, dy, dx, parallel);
}

}  // namespace keras_caffe
