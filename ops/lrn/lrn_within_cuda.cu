// Within channels: a thread walks down some rows of one column and carries the sums of the last rows with it in
// registers, for windows of up to 5 x 5 pixels. Larger ones are correct, and slow.
#include "ops/lrn/lrn_cuda.h"

namespace keras_caffe {
namespace {

constexpr int kRows = 8;  // that a thread walks down

// Planes of cells; `depth` values lie next to each other in a cell (channels first: 1).
template <typename I>
struct Planes {
  Divider<I> depth, columns, walks;
  int height, width, rows;
  LrnFormula formula;

  Planes(const LrnShape& s, int rows)
      : depth(s.channels_last ? s.channels : 1),
        columns(s.width),
        walks((s.height + rows - 1) / rows),
        height(static_cast<int>(s.height)),
        width(static_cast<int>(s.width)),
        rows(rows),
        formula(s) {}

  KERAS_CAFFE_DEVICE bool Has(int h, int w) const { return h >= 0 && h < height && w >= 0 && w < width; }
  KERAS_CAFFE_DEVICE I Cell(int h, int w) const { return static_cast<I>(h * width + w) * depth.divisor; }
  KERAS_CAFFE_DEVICE float At(const float* plane, int h, int w) const { return Has(h, w) ? plane[Cell(h, w)] : 0.0f; }
};

// Unit i -> where its value of the plane's first cell lies, the column and the first row.
template <typename I>
KERAS_CAFFE_DEVICE I Place(const Planes<I>& planes, I i, int* column, int* row) {
  const I value = Take(planes.depth, &i);
  *column = static_cast<int>(Take(planes.columns, &i));
  *row = static_cast<int>(Take(planes.walks, &i)) * planes.rows;
  return i * planes.Cell(planes.height, 0) + value;
}

template <int N>
KERAS_CAFFE_DEVICE void Push(float value, float* last) {
#pragma unroll
  for (int j = 0; j + 1 < N; ++j) last[j] = last[j + 1];
  last[N - 1] = value;
}

template <int R>
__global__ void WithinKernel(Planes<uint32_t> planes, uint32_t units, const float* __restrict__ x,
                             float* __restrict__ y) {
  constexpr int N = 2 * R + 1;
  for (uint32_t i = FirstUnit<uint32_t>(); i < units; i += UnitStep<uint32_t>()) {
    int column, first;
    const uint32_t at = Place(planes, i, &column, &first);
    const int end = min(first + planes.rows, planes.height);
    float sums[N] = {};  // of the squares in the last N rows, N columns wide
    for (int t = first - R; t < end + R; ++t) {
      float values[N];
#pragma unroll
      for (int d = 0; d < N; ++d) values[d] = planes.At(x + at, t, column - R + d);
      Push<N>(SumOfSquares<N>(values), sums);
      const int row = t - R;
      if (row < first) continue;
      const uint32_t own = at + planes.Cell(row, column);
      y[own] = x[own] * planes.formula.Power(planes.formula.Base(Sum<N>(sums)));
    }
  }
}

// Sums of squares around a row's cells `column - R` to `column + R`, carried on to the next row.
template <int R>
struct Window {
  static constexpr int N = 2 * R + 1;
  float sums[N][N] = {};  // [column][row]

  template <typename I>
  KERAS_CAFFE_DEVICE void Next(const Planes<I>& planes, const float* plane, int row, int column) {
    float values[N + 2 * R];
#pragma unroll
    for (int d = 0; d < N + 2 * R; ++d) values[d] = planes.At(plane, row, column - 2 * R + d);
#pragma unroll
    for (int d = 0; d < N; ++d) Push<N>(SumOfSquares<N>(values + d), sums[d]);
  }
};

template <int R>
__global__ void WithinGradKernel(Planes<uint32_t> planes, uint32_t units, const float* __restrict__ x,
                                 const float* __restrict__ dy, float* __restrict__ dx) {
  constexpr int N = 2 * R + 1;
  const LrnFormula formula = planes.formula;
  for (uint32_t i = FirstUnit<uint32_t>(); i < units; i += UnitStep<uint32_t>()) {
    int column, first;
    const uint32_t at = Place(planes, i, &column, &first);
    const int end = min(first + planes.rows, planes.height);
    Window<R> window;
    float ratios[N] = {}, powers[R + 1] = {};  // of the last rows
    for (int t = first - 2 * R; t < end + 2 * R; ++t) {
      window.Next(planes, x + at, t, column);
      const int middle = t - R, row = middle - R;
      float sum = 0.0f, power = 0.0f;
#pragma unroll
      for (int d = 0; d < N; ++d) {
        const int other = column - R + d;
        const float base = formula.Base(Sum<N>(window.sums[d])), scale = formula.Power(base);
        if (d == R) power = scale;
        if (!planes.Has(middle, other)) continue;
        const uint32_t cell = at + planes.Cell(middle, other);
        sum += __fdividef(dy[cell] * x[cell] * scale, base);
      }
      Push<N>(sum, ratios);
      Push<R + 1>(power, powers);
      if (row < first) continue;
      const uint32_t own = at + planes.Cell(row, column);
      dx[own] = formula.Gradient(x[own], dy[own], powers[0], Sum<N>(ratios));
    }
  }
}

template <typename I>
KERAS_CAFFE_DEVICE float BaseAt(const Planes<I>& planes, const float* plane, int row, int column, int radius) {
  float sum = 0.0f;
  for (int h = max(row - radius, 0); h <= min(row + radius, planes.height - 1); ++h) {
    for (int w = max(column - radius, 0); w <= min(column + radius, planes.width - 1); ++w) {
      const float value = plane[planes.Cell(h, w)];
      sum += value * value;
    }
  }
  return planes.formula.Base(sum);
}

template <typename I>
KERAS_CAFFE_DEVICE float Ratios(const Planes<I>& planes, const float* x, const float* dy, int row, int column,
                                int radius) {
  float sum = 0.0f;
  for (int h = max(row - radius, 0); h <= min(row + radius, planes.height - 1); ++h) {
    for (int w = max(column - radius, 0); w <= min(column + radius, planes.width - 1); ++w) {
      const I cell = planes.Cell(h, w);
      const float base = BaseAt(planes, x, h, w, radius);
      sum += dy[cell] * x[cell] * planes.formula.Power(base) / base;
    }
  }
  return sum;
}

// Windows of any size, one cell to a thread.
template <typename I>
__global__ void WideKernel(Planes<I> planes, int radius, I units, const float* __restrict__ x,
                           const float* __restrict__ dy, float* __restrict__ out) {
  for (I i = FirstUnit<I>(); i < units; i += UnitStep<I>()) {
    int column, row;
    const I at = Place(planes, i, &column, &row), own = at + planes.Cell(row, column);
    const float power = planes.formula.Power(BaseAt(planes, x + at, row, column, radius));
    if (!dy) {
      out[own] = x[own] * power;
      continue;
    }
    out[own] = planes.formula.Gradient(x[own], dy[own], power, Ratios(planes, x + at, dy + at, row, column, radius));
  }
}

template <int R>
int Narrow(const LrnShape& shape, const float* x, const float* dy, float* out, void* stream) {
  const Planes<uint32_t> planes(shape, kRows);
  const uint32_t units = static_cast<uint32_t>(shape.batch * shape.channels * shape.width) * planes.walks.divisor;
  if (dy) return Launch(WithinGradKernel<R>, units, stream, planes, units, x, dy, out);
  return Launch(WithinKernel<R>, units, stream, planes, units, x, out);
}

template <typename I>
int Wide(const LrnShape& shape, const float* x, const float* dy, float* out, void* stream) {
  const I units = static_cast<I>(LrnSize(shape));
  const int radius = (shape.local_size - 1) / 2;
  return Launch(WideKernel<I>, units, stream, Planes<I>(shape, 1), radius, units, x, dy, out);
}

}  // namespace

int LrnWithin(const LrnShape& shape, const float* x, const float* dy, float* out, void* stream) {
  if (LrnSize(shape) >= kShort) return Wide<int64_t>(shape, x, dy, out, stream);
  switch (shape.local_size) {
    case 1: return Narrow<0>(shape, x, dy, out, stream);
    case 3: return Narrow<1>(shape, x, dy, out, stream);
    case 5: return Narrow<2>(shape, x, dy, out, stream);
    default: return Wide<uint32_t>(shape, x, dy, out, stream);
  }
}

}  // namespace keras_caffe
