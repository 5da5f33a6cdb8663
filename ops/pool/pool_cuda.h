// Where windows and cells lie, for the pooling kernels.
#ifndef KERAS_CAFFE_OPS_POOL_POOL_CUDA_H_
#define KERAS_CAFFE_OPS_POOL_POOL_CUDA_H_

#include "ops/common/launch.h"
#include "ops/pool/pool.h"

namespace keras_caffe {

struct Span {
  int begin, end;
};

struct PoolAxis {
  int size, windows, kernel, pad;
  Divider<uint32_t> stride;

  PoolAxis(int64_t size, int64_t windows, int kernel, int stride, int pad)
      : size(static_cast<int>(size)), windows(static_cast<int>(windows)), kernel(kernel), pad(pad), stride(stride) {}

  KERAS_CAFFE_DEVICE int Start(int window) const { return window * static_cast<int>(stride.divisor) - pad; }

  // Length of a window up to the end of the padding: what an average is divided by.
  KERAS_CAFFE_DEVICE int Extent(int window) const {
    const int start = Start(window);
    return min(start + kernel, size + pad) - start;
  }

  // Part of the input that a window covers.
  KERAS_CAFFE_DEVICE Span Cells(int window) const {
    const int start = Start(window);
    return {max(start, 0), min(start + kernel, size)};
  }

  // Windows that cover any of these cells.
  KERAS_CAFFE_DEVICE Span Windows(int first, int last) const {
    const int before = first + pad - kernel;
    const int begin = before < 0 ? 0 : static_cast<int>(stride.Quotient(static_cast<uint32_t>(before))) + 1;
    return {begin, min(static_cast<int>(stride.Quotient(static_cast<uint32_t>(last + pad))) + 1, windows)};
  }

  KERAS_CAFFE_DEVICE bool Covers(int window, int cell) const {
    const int start = Start(window);
    return start <= cell && cell < start + kernel;
  }
};

// Planes of cells; `depth` values lie next to each other in a cell: the channels, or (channels first) one.
template <typename I>
struct Pool {
  PoolAxis rows, columns;
  I depth, in, out;  // values of a cell, of an input plane, of an output plane

  explicit Pool(const PoolShape& s)
      : rows(s.height, s.out_height, s.kernel_h, s.stride_h, s.pad_h),
        columns(s.width, s.out_width, s.kernel_w, s.stride_w, s.pad_w),
        depth(static_cast<I>(s.channels_last ? s.channels : 1)),
        in(static_cast<I>(s.height * s.width) * depth),
        out(static_cast<I>(s.out_height * s.out_width) * depth) {}

  KERAS_CAFFE_DEVICE I In(int row, int column) const { return static_cast<I>(row * columns.size + column) * depth; }
  KERAS_CAFFE_DEVICE I Out(int row, int column) const { return static_cast<I>(row * columns.windows + column) * depth; }
  KERAS_CAFFE_DEVICE float Area(int row, int column) const {
    return static_cast<float>(rows.Extent(row) * columns.Extent(column));
  }
};

// Numbers of units of work: values of a cell fastest, then columns, rows and planes, as in memory.
template <typename I>
struct Units {
  Divider<I> depth, columns, rows;
  I count;
};

struct PoolPlace {
  int row, column;
};

// Unit i -> its row and column; i becomes the number of the plane. Gives the first of the unit's V values in a cell.
template <int V, typename I>
KERAS_CAFFE_DEVICE I Locate(const Units<I>& units, I* i, PoolPlace* place) {
  const I value = Take(units.depth, i) * V;
  place->column = static_cast<int>(Take(units.columns, i));
  place->row = static_cast<int>(Take(units.rows, i));
  return value;
}

// Units that take V values of a cell and `rows_each` cells below each other.
template <typename I>
Units<I> CountUnits(const PoolShape& s, int64_t rows, int64_t columns, int64_t rows_each, int64_t values_each) {
  const int64_t depth = (s.channels_last ? s.channels : 1) / values_each;
  const int64_t planes = s.channels_last ? s.batch : s.batch * s.channels, walks = (rows + rows_each - 1) / rows_each;
  return {Divider<I>(depth), Divider<I>(columns), Divider<I>(walks), static_cast<I>(planes * depth * columns * walks)};
}

inline int64_t InputSize(const PoolShape& s) { return s.batch * s.channels * s.height * s.width; }
inline int64_t OutputSize(const PoolShape& s) { return s.batch * s.channels * s.out_height * s.out_width; }
inline bool IsShort(const PoolShape& s) { return std::max(InputSize(s), OutputSize(s)) < kShort; }

// Whether units should take four values of a cell at once: there must be enough of them to keep the machine busy.
template <typename... T>
bool InFours(const PoolShape& s, int64_t size, const T*... pointers) {
  return s.channels_last && s.channels % 4 == 0 && size >= int64_t{1} << 18 && Aligned(pointers...);
}

}  // namespace keras_caffe

#endif  // KERAS_CAFFE_OPS_POOL_POOL_CUDA_H_
