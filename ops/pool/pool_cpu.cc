// Channels next to each other: a row of the output takes the windows' cells one after the other, all channels at once,
// and a gradient gathers, for each row of the input, what the windows over it hand back: nothing is written twice, and
// rows go to any thread. Planes (channels first) are pooled cell by cell.
#include "ops/pool/pool.h"

#include <algorithm>
#include <cfloat>
#include <vector>

namespace keras_caffe {
namespace {

struct Span {
  int64_t begin, end;
};

// Part of the input that window i covers.
inline Span Cells(int64_t i, int64_t kernel, int64_t stride, int64_t pad, int64_t size) {
  const int64_t start = i * stride - pad;
  return {std::max<int64_t>(start, 0), std::min(start + kernel, size)};
}

// Windows that cover cell i.
inline Span Windows(int64_t i, int64_t kernel, int64_t stride, int64_t pad, int64_t windows) {
  const int64_t last = (i + pad) / stride, reach = i + pad - kernel;
  return {reach < 0 ? 0 : reach / stride + 1, std::min(last + 1, windows)};
}

// Length of window i up to the end of the padding: what an average is divided by.
inline int64_t Extent(int64_t i, int64_t kernel, int64_t stride, int64_t pad, int64_t size) {
  const int64_t start = i * stride - pad;
  return std::min(start + kernel, size + pad) - start;
}

struct Plane {
  const PoolShape& s;

  Span Rows(int64_t i) const { return Cells(i, s.kernel_h, s.stride_h, s.pad_h, s.height); }
  Span Columns(int64_t i) const { return Cells(i, s.kernel_w, s.stride_w, s.pad_w, s.width); }
  Span RowWindows(int64_t i) const { return Windows(i, s.kernel_h, s.stride_h, s.pad_h, s.out_height); }
  Span ColumnWindows(int64_t i) const { return Windows(i, s.kernel_w, s.stride_w, s.pad_w, s.out_width); }
  float Area(int64_t row, int64_t column) const {
    return static_cast<float>(Extent(row, s.kernel_h, s.stride_h, s.pad_h, s.height) *
                              Extent(column, s.kernel_w, s.stride_w, s.pad_w, s.width));
  }
  int64_t in() const { return s.height * s.width; }
  int64_t out() const { return s.out_height * s.out_width; }
  int64_t taps() const { return static_cast<int64_t>(s.kernel_h) * s.kernel_w; }
};

KERAS_CAFFE_TARGETS void Fill(float* y, int64_t size, float value) {
  for (int64_t i = 0; i < size; ++i) y[i] = value;
}

KERAS_CAFFE_TARGETS void Larger(const float* x, int64_t size, float* y) {
  for (int64_t i = 0; i < size; ++i) y[i] = x[i] > y[i] ? x[i] : y[i];
}

KERAS_CAFFE_TARGETS void LargerWithIndex(const float* x, int64_t size, int32_t index, float* y, int32_t* mask) {
  for (int64_t i = 0; i < size; ++i) {
    const bool larger = x[i] > y[i];
    y[i] = larger ? x[i] : y[i];
    mask[i] = larger ? index : mask[i];
  }
}

KERAS_CAFFE_TARGETS void AddWhere(const float* dy, const int32_t* mask, int64_t size, int32_t index, float* dx) {
  for (int64_t i = 0; i < size; ++i) dx[i] += mask[i] == index ? dy[i] : 0.0f;
}

KERAS_CAFFE_TARGETS void Add(const float* x, int64_t size, float* y) {
  for (int64_t i = 0; i < size; ++i) y[i] += x[i];
}

KERAS_CAFFE_TARGETS void AddWithSquares(const float* x, int64_t size, float* sums, float* squares) {
  for (int64_t i = 0; i < size; ++i) {
    sums[i] += x[i];
    squares[i] += x[i] * x[i];
  }
}

// y = squares / sums where the sum is positive
KERAS_CAFFE_TARGETS void Expect(const float* sums, const float* squares, int64_t size, float* y) {
  for (int64_t i = 0; i < size; ++i) y[i] = sums[i] > 0.0f ? squares[i] / sums[i] : 0.0f;
}

// The derivative of squares / sums by each cell is (2 x - squares / sums) / sums.
KERAS_CAFFE_TARGETS void AddExpected(const float* x, const float* dy, const float* sums, const float* squares,
                                     int64_t size, float* dx) {
  for (int64_t i = 0; i < size; ++i) {
    const float sum = sums[i] > 0.0f ? sums[i] : 1.0f;
    dx[i] += sums[i] > 0.0f ? dy[i] * (2.0f * x[i] - squares[i] / sum) / sum : 0.0f;
  }
}

KERAS_CAFFE_TARGETS void Divide(float* y, int64_t size, float divisor) {
  for (int64_t i = 0; i < size; ++i) y[i] /= divisor;
}

KERAS_CAFFE_TARGETS void AddQuotients(const float* dy, int64_t size, float divisor, float* dx) {
  for (int64_t i = 0; i < size; ++i) dx[i] += dy[i] / divisor;
}

// The memory of one pixel's channels, or (channels first) of one cell of a plane: `depth` values next to each other.
struct View {
  const Plane& plane;
  int64_t depth;

  int64_t In(int64_t row, int64_t column) const { return (row * plane.s.width + column) * depth; }
  int64_t Out(int64_t row, int64_t column) const { return (row * plane.s.out_width + column) * depth; }
};

// Calls `row(image, view, row number)` for every row of every image; channels first, a plane counts as an image.
template <typename Function>
void EachRow(const PoolShape& shape, int64_t rows, int64_t cost, const Parallel& parallel, const Function& row) {
  const Plane plane{shape};
  const View view{plane, shape.channels_last ? shape.channels : 1};
  const int64_t images = shape.channels_last ? shape.batch : shape.batch * shape.channels;
  if (images * rows * view.depth == 0) return;
  parallel(images * rows, std::max<int64_t>(1, cost * view.depth), [&](int64_t begin, int64_t end) {
    for (int64_t unit = begin; unit < end; ++unit) row(unit / rows, view, unit % rows);
  });
}

// Calls `cell(offset, index)` for the cells of a window in row-major order.
template <typename Function>
void EachCell(const View& view, int64_t row, int64_t column, const Function& cell) {
  const Span rows = view.plane.Rows(row), columns = view.plane.Columns(column);
  for (int64_t h = rows.begin; h < rows.end; ++h) {
    for (int64_t w = columns.begin; w < columns.end; ++w) cell(view.In(h, w), h * view.plane.s.width + w);
  }
}

// Calls `window(offset, row, column)` for the windows over a cell.
template <typename Function>
void EachWindow(const View& view, int64_t row, int64_t column, const Function& window) {
  const Span rows = view.plane.RowWindows(row), columns = view.plane.ColumnWindows(column);
  for (int64_t h = rows.begin; h < rows.end; ++h) {
    for (int64_t w = columns.begin; w < columns.end; ++w) window(view.Out(h, w), h, w);
  }
}

// Each row of the output: `window(x, y offset, row, column, view)` with x at the image's first cell.
template <typename Function>
void Forward(const PoolShape& shape, const Parallel& parallel, const Function& window) {
  const Plane plane{shape};
  EachRow(shape, shape.out_height, shape.out_width * plane.taps(), parallel,
          [&](int64_t image, const View& view, int64_t row) {
            for (int64_t column = 0; column < shape.out_width; ++column) {
              const int64_t out = image * plane.out() * view.depth + view.Out(row, column);
              window(view, image * plane.in() * view.depth, out, row, column);
            }
          });
}

// Each cell of the input: `cell(view, offset of the cell, offset of the image's windows, row, column)`.
template <typename Function>
void Backward(const PoolShape& shape, const Parallel& parallel, const Function& cell) {
  const Plane plane{shape};
  const int64_t covers = std::max<int64_t>(1, plane.taps() / (static_cast<int64_t>(shape.stride_h) * shape.stride_w));
  EachRow(shape, shape.height, shape.width * covers, parallel, [&](int64_t image, const View& view, int64_t row) {
    for (int64_t column = 0; column < shape.width; ++column) {
      const int64_t in = image * plane.in() * view.depth + view.In(row, column);
      cell(view, in, image * plane.out() * view.depth, row, column);
    }
  });
}

// The sums of a window's values and of their squares.
void Sums(const View& view, const float* x, int64_t row, int64_t column, float* sums, float* squares) {
  Fill(sums, view.depth, 0.0f);
  Fill(squares, view.depth, 0.0f);
  EachCell(view, row, column, [&](int64_t in, int64_t) { AddWithSquares(x + in, view.depth, sums, squares); });
}

}  // namespace

int64_t PoolOutput(int64_t size, int64_t kernel, int64_t stride, int64_t pad, bool ceil, bool clip) {
  const int64_t span = size + 2 * pad - kernel;
  const int64_t below = span >= 0 ? span / stride : -((-span + stride - 1) / stride);
  int64_t windows = below + (ceil && span != below * stride) + 1;
  if (clip && (windows - 1) * stride >= size + pad) --windows;
  return windows;
}

void MaxPool(const PoolShape& shape, const float* x, float* y, int32_t* mask, const Parallel& parallel) {
  Forward(shape, parallel, [&](const View& view, int64_t image, int64_t out, int64_t row, int64_t column) {
    Fill(y + out, view.depth, -FLT_MAX);
    if (mask) std::fill(mask + out, mask + out + view.depth, -1);
    EachCell(view, row, column, [&](int64_t in, int64_t index) {
      if (mask) LargerWithIndex(x + image + in, view.depth, static_cast<int32_t>(index), y + out, mask + out);
      else Larger(x + image + in, view.depth, y + out);
    });
  });
}

void MaskPoolGrad(const PoolShape& shape, const float* dy, const int32_t* mask, float* dx, const Parallel& parallel) {
  Backward(shape, parallel, [&](const View& view, int64_t in, int64_t image, int64_t row, int64_t column) {
    Fill(dx + in, view.depth, 0.0f);
    EachWindow(view, row, column, [&](int64_t out, int64_t, int64_t) {
      const int32_t index = static_cast<int32_t>(row * shape.width + column);
      AddWhere(dy + image + out, mask + image + out, view.depth, index, dx + in);
    });
  });
}

void AveragePool(const PoolShape& shape, const float* x, float* y, const Parallel& parallel) {
  Forward(shape, parallel, [&](const View& view, int64_t image, int64_t out, int64_t row, int64_t column) {
    Fill(y + out, view.depth, 0.0f);
    EachCell(view, row, column, [&](int64_t in, int64_t) { Add(x + image + in, view.depth, y + out); });
    Divide(y + out, view.depth, view.plane.Area(row, column));
  });
}

void AveragePoolGrad(const PoolShape& shape, const float* dy, float* dx, const Parallel& parallel) {
  Backward(shape, parallel, [&](const View& view, int64_t in, int64_t image, int64_t row, int64_t column) {
    Fill(dx + in, view.depth, 0.0f);
    EachWindow(view, row, column, [&](int64_t out, int64_t window_row, int64_t window_column) {
      AddQuotients(dy + image + out, view.depth, view.plane.Area(window_row, window_column), dx + in);
    });
  });
}

void StochasticPool(const PoolShape& shape, const float* x, const float* uniform, float* y, int32_t* mask,
                    const Parallel& parallel) {
  Forward(shape, parallel, [&](const View& view, int64_t image, int64_t out, int64_t row, int64_t column) {
    for (int64_t c = 0; c < view.depth; ++c) {
      float total = 0.0f, running = 0.0f;
      EachCell(view, row, column, [&](int64_t in, int64_t) { total += x[image + in + c]; });
      const float threshold = uniform[out + c] * total;
      y[out + c] = 0.0f;
      mask[out + c] = -1;
      EachCell(view, row, column, [&](int64_t in, int64_t index) {
        if (mask[out + c] >= 0) return;
        running += x[image + in + c];
        if (!(running >= threshold)) return;
        y[out + c] = x[image + in + c];
        mask[out + c] = static_cast<int32_t>(index);
      });
    }
  });
}

void StochasticMeanPool(const PoolShape& shape, const float* x, float* y, const Parallel& parallel) {
  Forward(shape, parallel, [&](const View& view, int64_t image, int64_t out, int64_t row, int64_t column) {
    thread_local std::vector<float> sums, squares;
    sums.resize(view.depth);
    squares.resize(view.depth);
    Sums(view, x + image, row, column, sums.data(), squares.data());
    Expect(sums.data(), squares.data(), view.depth, y + out);
  });
}

void StochasticMeanPoolGrad(const PoolShape& shape, const float* x, const float* dy, float* dx,
                            const Parallel& parallel) {
  Backward(shape, parallel, [&](const View& view, int64_t in, int64_t image, int64_t row, int64_t column) {
    thread_local std::vector<float> sums, squares;
    sums.resize(view.depth);
    squares.resize(view.depth);
    const float* first = x + in - view.In(row, column);
    Fill(dx + in, view.depth, 0.0f);
    EachWindow(view, row, column, [&](int64_t out, int64_t window_row, int64_t window_column) {
      Sums(view, first, window_row, window_column, sums.data(), squares.data());
      AddExpected(x + in, dy + image + out, sums.data(), squares.data(), view.depth, dx + in);
    });
  });
}

}  // namespace keras_caffe
