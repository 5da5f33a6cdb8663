// Outputs of pooling. Each unit of work is one window; the windows' own kinds are `State`s that take cell after cell in
// row-major order. Large windows of a plane are shared out among a warp.
#include <cfloat>

#include "ops/pool/pool_cuda.h"

namespace keras_caffe {
namespace {

constexpr int kWarp = 32;

template <int V>
struct Largest {  // the first maximum; NaN is never one
  static constexpr float kOutside = -FLT_MAX;
  static constexpr bool kIndex = true;
  float value[V];
  int index[V];

  KERAS_CAFFE_DEVICE void Begin() {
    for (int v = 0; v < V; ++v) value[v] = -FLT_MAX, index[v] = -1;
  }
  KERAS_CAFFE_DEVICE void Add(const Values<float, V>& x, int at) {
    for (int v = 0; v < V; ++v) {
      const bool larger = x.at[v] > value[v];
      value[v] = larger ? x.at[v] : value[v];
      index[v] = larger ? at : index[v];
    }
  }
  KERAS_CAFFE_DEVICE void Merge(const Largest& other) {
    for (int v = 0; v < V; ++v) {
      const bool first = other.value[v] == value[v] && other.index[v] < index[v];
      if (!(other.value[v] > value[v] || first)) continue;
      value[v] = other.value[v];
      index[v] = other.index[v];
    }
  }
  KERAS_CAFFE_DEVICE float Result(int v, float) const { return value[v]; }
};

template <int V>
struct LargestAlone {  // the same without the index
  static constexpr float kOutside = -FLT_MAX;
  static constexpr bool kIndex = false;
  float value[V];

  KERAS_CAFFE_DEVICE void Begin() {
    for (int v = 0; v < V; ++v) value[v] = -FLT_MAX;
  }
  KERAS_CAFFE_DEVICE void Add(const Values<float, V>& x, int) {
    for (int v = 0; v < V; ++v) value[v] = x.at[v] > value[v] ? x.at[v] : value[v];
  }
  KERAS_CAFFE_DEVICE void Merge(const LargestAlone& other) {
    for (int v = 0; v < V; ++v) value[v] = other.value[v] > value[v] ? other.value[v] : value[v];
  }
  KERAS_CAFFE_DEVICE float Result(int v, float) const { return value[v]; }
};

template <int V>
struct Average {
  static constexpr float kOutside = 0.0f;
  static constexpr bool kIndex = false;
  float sum[V];

  KERAS_CAFFE_DEVICE void Begin() {
    for (int v = 0; v < V; ++v) sum[v] = 0.0f;
  }
  KERAS_CAFFE_DEVICE void Add(const Values<float, V>& x, int) {
    for (int v = 0; v < V; ++v) sum[v] += x.at[v];
  }
  KERAS_CAFFE_DEVICE void Merge(const Average& other) {
    for (int v = 0; v < V; ++v) sum[v] += other.sum[v];
  }
  KERAS_CAFFE_DEVICE float Result(int v, float area) const { return sum[v] / area; }  // an empty window: 0 / 0
};

template <int V>
struct Expectation {
  static constexpr float kOutside = 0.0f;
  static constexpr bool kIndex = false;
  float sum[V], squares[V];

  KERAS_CAFFE_DEVICE void Begin() {
    for (int v = 0; v < V; ++v) sum[v] = squares[v] = 0.0f;
  }
  KERAS_CAFFE_DEVICE void Add(const Values<float, V>& x, int) {
    for (int v = 0; v < V; ++v) sum[v] += x.at[v], squares[v] += x.at[v] * x.at[v];
  }
  KERAS_CAFFE_DEVICE void Merge(const Expectation& other) {
    for (int v = 0; v < V; ++v) sum[v] += other.sum[v], squares[v] += other.squares[v];
  }
  KERAS_CAFFE_DEVICE float Result(int v, float) const { return sum[v] > 0.0f ? squares[v] / sum[v] : 0.0f; }
};

template <typename State>
KERAS_CAFFE_DEVICE const int* Indices(const State&) {
  return nullptr;
}

template <int V>
KERAS_CAFFE_DEVICE const int* Indices(const Largest<V>& state) {
  return state.index;
}

template <int V, typename State>
KERAS_CAFFE_DEVICE void Store(const State& state, float area, float* y, int32_t* mask) {
  Values<float, V> values;
  Values<int32_t, V> indices;
  for (int v = 0; v < V; ++v) {
    values.at[v] = state.Result(v, area);
    if (State::kIndex) indices.at[v] = Indices(state)[v];
  }
  Write(values, y);
  if (State::kIndex) Write(indices, mask);
}

// The cells of a window of K x K, all of them on the way before the first is looked at.
template <int K, int V, typename I, typename State>
KERAS_CAFFE_DEVICE void AddSquare(const Pool<I>& pool, const float* plane, PoolPlace place, State* state) {
  const int top = pool.rows.Start(place.row), left = pool.columns.Start(place.column);
  Values<float, V> cells[K * K];
#pragma unroll
  for (int j = 0; j < K * K; ++j) {
    const int h = top + j / K, w = left + j % K;
    for (int v = 0; v < V; ++v) cells[j].at[v] = State::kOutside;
    const bool inside = h >= 0 && h < pool.rows.size && w >= 0 && w < pool.columns.size;
    if (inside) cells[j] = Read<V>(plane + pool.In(h, w));
  }
#pragma unroll
  for (int j = 0; j < K * K; ++j) state->Add(cells[j], (top + j / K) * pool.columns.size + left + j % K);
}

template <int V, typename I, typename State>
KERAS_CAFFE_DEVICE void AddWindow(const Pool<I>& pool, const float* plane, PoolPlace place, State* state) {
  const Span rows = pool.rows.Cells(place.row), columns = pool.columns.Cells(place.column);
  for (int h = rows.begin; h < rows.end; ++h) {
#pragma unroll 4
    for (int w = columns.begin; w < columns.end; ++w) {
      state->Add(Read<V>(plane + pool.In(h, w)), h * pool.columns.size + w);
    }
  }
}

// K: size of the windows if they are square and it is known, else 0.
template <template <int> class State, int K, int V, typename I>
__global__ void WindowKernel(Pool<I> pool, Units<I> units, const float* __restrict__ x, float* __restrict__ y,
                             int32_t* __restrict__ mask) {
  for (I i = FirstUnit<I>(); i < units.count; i += UnitStep<I>()) {
    I image = i;
    PoolPlace place;
    const I value = Locate<V>(units, &image, &place);
    const float* plane = x + image * pool.in + value;
    State<V> state;
    state.Begin();
    if (K > 0) AddSquare<(K > 0 ? K : 1), V>(pool, plane, place, &state);
    else AddWindow<V>(pool, plane, place, &state);
    const I out = image * pool.out + pool.Out(place.row, place.column) + value;
    Store<V>(state, pool.Area(place.row, place.column), y + out, mask + out);
  }
}

// A warp takes the cells of one window in turns, and then halves its states until one is left.
template <template <int> class State, typename I>
__global__ void WarpKernel(Pool<I> pool, Units<I> units, const float* __restrict__ x, float* __restrict__ y,
                           int32_t* __restrict__ mask) {
  __shared__ State<1> states[kThreads];
  constexpr int kWindows = kThreads / kWarp;
  const int lane = threadIdx.x % kWarp;
  for (I first = static_cast<I>(blockIdx.x) * kWindows; first < units.count; first += gridDim.x * kWindows) {
    const I unit = first + threadIdx.x / kWarp;
    I image = unit;
    PoolPlace place;
    Locate<1>(units, &image, &place);
    State<1> state;
    state.Begin();
    if (unit < units.count) {
      const float* plane = x + image * pool.in;
      const Span rows = pool.rows.Cells(place.row), columns = pool.columns.Cells(place.column);
      const int wide = columns.end - columns.begin, cells = (rows.end - rows.begin) * wide;
      for (int j = lane; j < cells && wide > 0; j += kWarp) {
        const int at = (rows.begin + j / wide) * pool.columns.size + columns.begin + j % wide;
        state.Add(Read<1>(plane + at), at);
      }
    }
    states[threadIdx.x] = state;
    for (int half = kWarp / 2; half > 0; half /= 2) {
      __syncthreads();
      if (lane < half) states[threadIdx.x].Merge(states[threadIdx.x + half]);
    }
    const I out = image * pool.out + pool.Out(place.row, place.column);
    if (lane == 0 && unit < units.count) {
      Store<1>(states[threadIdx.x], pool.Area(place.row, place.column), y + out, mask + out);
    }
    __syncthreads();  // before the states are used again
  }
}

// Unlike the others this one needs the sum of a window before it can look at the cells.
template <typename I>
__global__ void DrawKernel(Pool<I> pool, Units<I> units, const float* __restrict__ x,
                           const float* __restrict__ uniform, float* __restrict__ y, int32_t* __restrict__ mask) {
  for (I i = FirstUnit<I>(); i < units.count; i += UnitStep<I>()) {
    I image = i;
    PoolPlace place;
    const I value = Locate<1>(units, &image, &place);
    const float* plane = x + image * pool.in + value;
    const I out = image * pool.out + pool.Out(place.row, place.column) + value;
    Average<1> total;
    total.Begin();
    AddWindow<1>(pool, plane, place, &total);
    const float threshold = uniform[out] * total.sum[0];
    const Span rows = pool.rows.Cells(place.row), columns = pool.columns.Cells(place.column);
    float running = 0.0f, drawn = 0.0f;
    int index = -1;
    for (int h = rows.begin; h < rows.end && index < 0; ++h) {
      for (int w = columns.begin; w < columns.end && index < 0; ++w) {
        const float cell = plane[pool.In(h, w)];
        running += cell;
        if (!(running >= threshold)) continue;
        drawn = cell;
        index = h * pool.columns.size + w;
      }
    }
    y[out] = drawn;
    mask[out] = index;
  }
}

template <template <int> class State, int K, int V, typename I>
int Start(const PoolShape& shape, const float* x, float* y, int32_t* mask, void* stream) {
  const Units<I> units = CountUnits<I>(shape, shape.out_height, shape.out_width, 1, V);
  return Launch(WindowKernel<State, K, V, I>, units.count, stream, Pool<I>(shape), units, x, y, mask);
}

template <template <int> class State, int V>
int StartFor(int kernel, const PoolShape& shape, const float* x, float* y, int32_t* mask, void* stream) {
  if (kernel == 3) return Start<State, 3, V, uint32_t>(shape, x, y, mask, stream);
  if (kernel == 2) return Start<State, 2, V, uint32_t>(shape, x, y, mask, stream);
  return Start<State, 0, V, uint32_t>(shape, x, y, mask, stream);
}

template <template <int> class State>
int Forward(const PoolShape& shape, const float* x, float* y, int32_t* mask, void* stream) {
  if (OutputSize(shape) == 0) return cudaSuccess;
  if (!IsShort(shape)) return Start<State, 0, 1, int64_t>(shape, x, y, mask, stream);
  const bool plane = !shape.channels_last || shape.channels == 1;
  if (plane && static_cast<int64_t>(shape.kernel_h) * shape.kernel_w >= kWarp) {
    const Units<uint32_t> units = CountUnits<uint32_t>(shape, shape.out_height, shape.out_width, 1, 1);
    const int64_t threads = static_cast<int64_t>(units.count) * kWarp;
    return Launch(WarpKernel<State, uint32_t>, threads, stream, Pool<uint32_t>(shape), units, x, y, mask);
  }
  const int kernel = shape.kernel_h == shape.kernel_w ? shape.kernel_h : 0;
  if (InFours(shape, OutputSize(shape), x, y, mask)) return StartFor<State, 4>(kernel, shape, x, y, mask, stream);
  return StartFor<State, 1>(kernel, shape, x, y, mask, stream);
}

template <typename I>
int Draw(const PoolShape& shape, const float* x, const float* uniform, float* y, int32_t* mask, void* stream) {
  const Units<I> units = CountUnits<I>(shape, shape.out_height, shape.out_width, 1, 1);
  return Launch(DrawKernel<I>, units.count, stream, Pool<I>(shape), units, x, uniform, y, mask);
}

}  // namespace
}  // namespace keras_caffe

extern "C" {

int keras_caffe_max_pool(const KerasCaffePoolShape* shape, const float* x, float* y, int32_t* mask, void* stream) {
  using namespace keras_caffe;
  return (mask ? Forward<Largest> : Forward<LargestAlone>)(*shape, x, y, mask, stream);
}

int keras_caffe_average_pool(const KerasCaffePoolShape* shape, const float* x, float* y, void* stream) {
  using namespace keras_caffe;
  return Forward<Average>(*shape, x, y, nullptr, stream);
}

int keras_caffe_stochastic_pool(const KerasCaffePoolShape* shape, const float* x, const float* uniform, float* y,
                                int32_t* mask, void* stream) {
  using namespace keras_caffe;
  if (OutputSize(*shape) == 0) return cudaSuccess;
  return (IsShort(*shape) ? Draw<uint32_t> : Draw<int64_t>)(*shape, x, uniform, y, mask, stream);
}

int keras_caffe_stochastic_mean_pool(const KerasCaffePoolShape* shape, const float* x, float* y, void* stream) {
  using namespace keras_caffe;
  return Forward<Expectation>(*shape, x, y, nullptr, stream);
}

}  // extern "C"
