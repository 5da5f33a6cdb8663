// As much of CUDA as the kernels use, on the CPU: a block's threads are fibers that take turns at __syncthreads().
// Every round goes the other way, and blocks run from the last to the first, so that what depends on an order fails.
#ifndef KERAS_CAFFE_TESTS_OPS_CUDA_EMULATION_CUDA_RUNTIME_H_
#define KERAS_CAFFE_TESTS_OPS_CUDA_EMULATION_CUDA_RUNTIME_H_

#include <ucontext.h>

#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <memory>
#include <vector>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/common_interface_defs.h>
#endif

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline
#define __shared__ static

#define KERAS_CAFFE_LAUNCH(kernel, blocks, threads, stream, ...) \
  keras_caffe_emulation::Run(blocks, threads, [&] { kernel(__VA_ARGS__); })

using cudaStream_t = void*;
enum cudaError_t { cudaSuccess = 0, cudaErrorInvalidValue = 1 };
inline cudaError_t cudaGetLastError() { return cudaSuccess; }

struct EmulatedIndex {
  unsigned x = 0, y = 0, z = 0;
};
inline EmulatedIndex threadIdx, blockIdx, blockDim, gridDim;

inline unsigned __umulhi(unsigned a, unsigned b) { return static_cast<unsigned>((uint64_t{a} * b) >> 32); }
inline float rsqrtf(float x) { return 1.0f / std::sqrt(x); }
inline float __fdividef(float x, float y) { return x / y; }
inline int min(int a, int b) { return a < b ? a : b; }
inline int max(int a, int b) { return a > b ? a : b; }

namespace keras_caffe_emulation {

constexpr size_t kStack = size_t{1} << 18;

struct Fiber {
  ucontext_t context;
  std::unique_ptr<char[]> stack{new char[kStack]};
  bool done = false;
};

inline std::vector<Fiber> fibers;
inline std::function<void()> body;
inline ucontext_t scheduler;
inline Fiber* current = nullptr;

#if defined(__SANITIZE_ADDRESS__)
inline const void* scheduler_stack = nullptr;
inline size_t scheduler_size = 0;
#endif

// Hands over to a fiber (null: to the scheduler) and comes back when it is the caller's turn again.
inline void Switch(Fiber* from, Fiber* to) {
#if defined(__SANITIZE_ADDRESS__)
  void* fake = nullptr;
  const bool last = from && from->done;
  __sanitizer_start_switch_fiber(last ? nullptr : &fake, to ? to->stack.get() : scheduler_stack,
                                 to ? kStack : scheduler_size);
#endif
  swapcontext(from ? &from->context : &scheduler, to ? &to->context : &scheduler);
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_finish_switch_fiber(fake, from ? &scheduler_stack : nullptr, from ? &scheduler_size : nullptr);
#endif
}

inline void Enter() {
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_finish_switch_fiber(nullptr, &scheduler_stack, &scheduler_size);
#endif
  body();
  current->done = true;
  Switch(current, nullptr);
}

inline void RunBlock(unsigned threads) {
  for (Fiber& fiber : fibers) {
    fiber.done = false;
    getcontext(&fiber.context);
    fiber.context.uc_stack.ss_sp = fiber.stack.get();
    fiber.context.uc_stack.ss_size = kStack;
    fiber.context.uc_link = nullptr;
    makecontext(&fiber.context, Enter, 0);
  }
  unsigned done = 0;
  for (unsigned round = 0; done < threads; ++round) {
    for (unsigned t = 0; t < threads; ++t) {
      threadIdx.x = round % 2 ? threads - 1 - t : t;
      current = &fibers[threadIdx.x];
      Switch(nullptr, current);
      done += current->done;
    }
    if (done != 0 && done != threads) {
      std::fprintf(stderr, "threads of a block wait at __syncthreads() for some that have ended\n");
      std::abort();
    }
  }
}

template <typename Body>
void Run(unsigned blocks, unsigned threads, const Body& kernel) {
  body = kernel;
  blockDim.x = threads;
  gridDim.x = blocks;
  if (fibers.size() != threads) fibers = std::vector<Fiber>(threads);
  for (unsigned b = blocks; b-- > 0;) {
    blockIdx.x = b;
    RunBlock(threads);
  }
}

}  // namespace keras_caffe_emulation

inline void __syncthreads() { keras_caffe_emulation::Switch(keras_caffe_emulation::current, nullptr); }

#endif  // KERAS_CAFFE_TESTS_OPS_CUDA_EMULATION_CUDA_RUNTIME_H_
