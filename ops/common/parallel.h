// How CPU kernels share out their work; who calls them says by what threads.
#ifndef KERAS_CAFFE_OPS_COMMON_PARALLEL_H_
#define KERAS_CAFFE_OPS_COMMON_PARALLEL_H_

#include <cstdint>
#include <functional>

// A function with it is compiled for each of these levels of processors, and the highest that the machine has is taken.
// (The name of a processor in their place, such as haswell, would be taken on that very model only.)
#if defined(KERAS_CAFFE_ONE_TARGET) || !defined(__x86_64__) || !defined(__GNUC__) || defined(__clang__)
#define KERAS_CAFFE_TARGETS
#elif __GNUC__ >= 12
#define KERAS_CAFFE_TARGETS __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define KERAS_CAFFE_TARGETS __attribute__((target_clones("avx512f", "avx2", "default")))
#endif

namespace keras_caffe {

using Range = std::function<void(int64_t begin, int64_t end)>;

// Calls the range function for parts that together are [0, units); `cost` is about the cycles that one unit takes.
using Parallel = std::function<void(int64_t units, int64_t cost, const Range& range)>;

inline void Serial(int64_t units, int64_t, const Range& range) {
  if (units > 0) range(0, units);
}

}  // namespace keras_caffe

#endif  // KERAS_CAFFE_OPS_COMMON_PARALLEL_H_
