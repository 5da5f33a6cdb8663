// Gradients of pooling, gathered: a unit of work adds up what the windows over its cells hand back, in the windows'
// order, so that the result is the same every time. It takes some cells below each other, because they share windows.
#include "ops/pool/pool_cuda.h"

namespace keras_caffe {
namespace {

constexpr int kCells = 4;

// A window, and the cells that look at it: from `cell` down. `plane` and `out` are where its values lie in x and y.
template <typename I>
struct Meeting {
  const Pool<I>& pool;
  PoolPlace window, cell;
  I plane, out;

  KERAS_CAFFE_DEVICE bool Covers(int j) const { return pool.rows.Covers(window.row, cell.row + j); }
};

template <int V>
struct MaskRule {
  const float* dy;
  const int32_t* mask;

  template <int CELLS, typename I>
  KERAS_CAFFE_DEVICE void Add(const Meeting<I>& at, float (*sums)[V]) const {
    const Values<float, V> top = Read<V>(dy + at.out);
    const Values<int32_t, V> named = Read<V>(mask + at.out);
    for (int j = 0; j < CELLS; ++j) {
      const int index = (at.cell.row + j) * at.pool.columns.size + at.cell.column;
      for (int v = 0; v < V; ++v) sums[j][v] += named.at[v] == index ? top.at[v] : 0.0f;
    }
  }
};

template <int V>
struct AverageRule {
  const float* dy;
  float whole, part;  // area of a window that nothing cuts, and 1 / that: a division takes many times longer

  template <int CELLS, typename I>
  KERAS_CAFFE_DEVICE void Add(const Meeting<I>& at, float (*sums)[V]) const {
    Values<float, V> top = Read<V>(dy + at.out);
    const float area = at.pool.Area(at.window.row, at.window.column);
    for (int v = 0; v < V; ++v) top.at[v] = area == whole ? top.at[v] * part : top.at[v] / area;
    for (int j = 0; j < CELLS; ++j) {
      for (int v = 0; v < V; ++v) sums[j][v] += at.Covers(j) ? top.at[v] : 0.0f;
    }
  }
};

// y = squares / sum of the window, which is read again for each of its cells.
template <int V>
struct ExpectationRule {
  const float *x, *dy;

  template <int CELLS, typename I>
  KERAS_CAFFE_DEVICE void Add(const Meeting<I>& at, float (*sums)[V]) const {
    const Span rows = at.pool.rows.Cells(at.window.row), columns = at.pool.columns.Cells(at.window.column);
    const float* plane = x + at.plane;
    float sum = 0.0f, squares = 0.0f;
    for (int h = rows.begin; h < rows.end; ++h) {
      for (int w = columns.begin; w < columns.end; ++w) {
        const float value = plane[at.pool.In(h, w)];
        sum += value;
        squares += value * value;
      }
    }
    if (!(sum > 0.0f)) return;
    for (int j = 0; j < CELLS; ++j) {
      if (!at.Covers(j) || at.cell.row + j >= at.pool.rows.size) continue;
      const float own = plane[at.pool.In(at.cell.row + j, at.cell.column)];
      sums[j][0] += dy[at.out] * (2.0f * own - squares / sum) / sum;
    }
  }
};

template <template <int> class Rule, int CELLS, int V, typename I>
__global__ void GatherKernel(Pool<I> pool, Units<I> units, Rule<V> rule, float* __restrict__ dx) {
  for (I i = FirstUnit<I>(); i < units.count; i += UnitStep<I>()) {
    I image = i;
    PoolPlace cell;
    const I value = Locate<V>(units, &image, &cell);
    cell.row *= CELLS;
    const Span rows = pool.rows.Windows(cell.row, min(cell.row + CELLS, pool.rows.size) - 1);
    const Span columns = pool.columns.Windows(cell.column, cell.column);
    const I plane = image * pool.in + value, top = image * pool.out + value;
    float sums[CELLS][V] = {};
    for (int row = rows.begin; row < rows.end; ++row) {
      for (int column = columns.begin; column < columns.end; ++column) {
        const Meeting<I> at{pool, {row, column}, cell, plane, top + pool.Out(row, column)};
        rule.template Add<CELLS>(at, sums);
      }
    }
    for (int j = 0; j < CELLS; ++j) {
      if (cell.row + j >= pool.rows.size) continue;
      Values<float, V> gathered;
      for (int v = 0; v < V; ++v) gathered.at[v] = sums[j][v];
      Write(gathered, dx + plane + pool.In(cell.row + j, cell.column));
    }
  }
}

template <template <int> class Rule, int CELLS, int V, typename I>
int Start(const PoolShape& shape, const Rule<V>& rule, float* dx, void* stream) {
  const Units<I> units = CountUnits<I>(shape, shape.height, shape.width, CELLS, V);
  return Launch(GatherKernel<Rule, CELLS, V, I>, units.count, stream, Pool<I>(shape), units, rule, dx);
}

template <template <int> class Rule>
int Backward(const PoolShape& shape, const Rule<4>& fours, const Rule<1>& ones, bool in_fours, float* dx,
             void* stream) {
  if (InputSize(shape) == 0) return cudaSuccess;
  if (!IsShort(shape)) return Start<Rule, 1, 1, int64_t>(shape, ones, dx, stream);
  if (in_fours) return Start<Rule, kCells, 4, uint32_t>(shape, fours, dx, stream);
  return Start<Rule, kCells, 1, uint32_t>(shape, ones, dx, stream);
}

}  // namespace
}  // namespace keras_caffe

extern "C" {

int keras_caffe_mask_pool_grad(const KerasCaffePoolShape* shape, const float* dy, const int32_t* mask, float* dx,
                               void* stream) {
  using namespace keras_caffe;
  const bool in_fours = InFours(*shape, InputSize(*shape), dy, mask, dx);
  return Backward<MaskRule>(*shape, {dy, mask}, {dy, mask}, in_fours, dx, stream);
}

int keras_caffe_average_pool_grad(const KerasCaffePoolShape* shape, const float* dy, float* dx, void* stream) {
  using namespace keras_caffe;
  const float whole = static_cast<float>(static_cast<int64_t>(shape->kernel_h) * shape->kernel_w), part = 1.0f / whole;
  const bool in_fours = InFours(*shape, InputSize(*shape), dy, dx);
  return Backward<AverageRule>(*shape, {dy, whole, part}, {dy, whole, part}, in_fours, dx, stream);
}

int keras_caffe_stochastic_mean_pool_grad(const KerasCaffePoolShape* shape, const float* x, const float* dy, float* dx,
                                          void* stream) {
  using namespace keras_caffe;
  if (InputSize(*shape) == 0) return cudaSuccess;
  const ExpectationRule<1> rule{x, dy};
  if (IsShort(*shape)) return Start<ExpectationRule, 1, 1, uint32_t>(*shape, rule, dx, stream);
  return Start<ExpectationRule, 1, 1, int64_t>(*shape, rule, dx, stream);
}

}  // extern "C"
