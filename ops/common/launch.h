// How kernels are started, and how their threads count. CUDA only; an emulation on the CPU brings its own
// cuda_runtime.h with its own KERAS_CAFFE_LAUNCH.
#ifndef KERAS_CAFFE_OPS_COMMON_LAUNCH_H_
#define KERAS_CAFFE_OPS_COMMON_LAUNCH_H_

#include <cuda_runtime.h>

#include <algorithm>
#include <cstdint>

#ifndef KERAS_CAFFE_LAUNCH
#define KERAS_CAFFE_LAUNCH(kernel, blocks, threads, stream, ...) kernel<<<blocks, threads, 0, stream>>>(__VA_ARGS__)
#endif

#ifndef KERAS_CAFFE_MOST_BLOCKS
#define KERAS_CAFFE_MOST_BLOCKS (1 << 16)  // more work than that goes round again
#endif

#ifndef KERAS_CAFFE_SHORT
#define KERAS_CAFFE_SHORT (int64_t{1} << 31)
#endif

#define KERAS_CAFFE_DEVICE __device__ __forceinline__

namespace keras_caffe {

constexpr int kThreads = 256;                 // of a block
constexpr int64_t kShort = KERAS_CAFFE_SHORT;  // below it numbers of elements are counted in 32 bits

// Starts a kernel with one thread for each unit, or that takes several units in turn. 0, or a cudaError_t.
template <typename... Parameters, typename... Arguments>
int Launch(void (*kernel)(Parameters...), int64_t units, void* stream, const Arguments&... arguments) {
  if (units <= 0) return cudaSuccess;
  const int64_t wanted = (units + kThreads - 1) / kThreads;
  const unsigned blocks = static_cast<unsigned>(std::min<int64_t>(wanted, KERAS_CAFFE_MOST_BLOCKS));
  KERAS_CAFFE_LAUNCH(kernel, blocks, kThreads, static_cast<cudaStream_t>(stream), arguments...);
  return cudaGetLastError();
}

template <typename I>
KERAS_CAFFE_DEVICE I FirstUnit() {
  return static_cast<I>(blockIdx.x) * blockDim.x + threadIdx.x;
}

template <typename I>
KERAS_CAFFE_DEVICE I UnitStep() {
  return static_cast<I>(gridDim.x) * blockDim.x;
}

// n / divisor: in 64 bits as it is, in 32 bits (n < 2^31) by a multiplication, which is many times faster.
template <typename I>
struct Divider {
  I divisor;

  explicit Divider(int64_t by) : divisor(static_cast<I>(std::max<int64_t>(by, 1))) {}
  KERAS_CAFFE_DEVICE I Quotient(I n) const { return n / divisor; }
};

template <>
struct Divider<uint32_t> {
  uint32_t divisor, multiplier, shift;

  explicit Divider(int64_t by) : divisor(static_cast<uint32_t>(std::max<int64_t>(by, 1))), shift(0) {
    while ((uint64_t{1} << shift) < divisor) ++shift;
    const uint64_t rest = (uint64_t{1} << shift) - divisor;
    multiplier = static_cast<uint32_t>((rest << 32) / divisor + 1);
  }
  KERAS_CAFFE_DEVICE uint32_t Quotient(uint32_t n) const { return (__umulhi(n, multiplier) + n) >> shift; }
};

// n -> the remainder; n becomes the quotient.
template <typename I>
KERAS_CAFFE_DEVICE I Take(const Divider<I>& by, I* n) {
  const I quotient = by.Quotient(*n), rest = *n - quotient * by.divisor;
  *n = quotient;
  return rest;
}

// Values that lie next to each other and are read or written at once.
template <typename T, int V>
struct alignas(sizeof(T) * V) Values {
  T at[V];
};

template <int V, typename T>
KERAS_CAFFE_DEVICE Values<T, V> Read(const T* from) {
  return *reinterpret_cast<const Values<T, V>*>(from);
}

template <typename T, int V>
KERAS_CAFFE_DEVICE void Write(const Values<T, V>& values, T* to) {
  *reinterpret_cast<Values<T, V>*>(to) = values;
}

// Whether four floats at a time may be read at these addresses; a null pointer may.
template <typename... T>
bool Aligned(const T*... pointers) {
  return ((reinterpret_cast<uintptr_t>(pointers) % 16 == 0) && ...);
}

}  // namespace keras_caffe

#endif  // KERAS_CAFFE_OPS_COMMON_LAUNCH_H_
