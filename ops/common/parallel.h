// How CPU kernels share out their work; who calls them says by what threads.
#ifndef KERAS_CAFFE_OPS_COMMON_PARALLEL_H_
#define KERAS_CAFFE_OPS_COMMON_PARALLEL_H_

#include <cstdint>
#include <functional>

// A function with it is compiled for each of these processors; the first one that the machine has is taken.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && !defined(KERAS_CAFFE_ONE_TARGET)
#define KERAS_CAFFE_TARGETS __attribute__((target_clones("arch=skylake-avx512", "arch=haswell", "default")))
#else
#define KERAS_CAFFE_TARGETS
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
