// What both regions of LRN share on a GPU.
#ifndef KERAS_CAFFE_OPS_LRN_LRN_CUDA_H_
#define KERAS_CAFFE_OPS_LRN_LRN_CUDA_H_

#include "ops/common/launch.h"
#include "ops/lrn/lrn.h"

namespace keras_caffe {

// Exponents that nets use go by square roots, which are many times faster than a power. No product in here overflows
// before the result does.
KERAS_CAFFE_DEVICE float InversePower(float base, float exponent) {
  if (exponent == 0.75f) return rsqrtf(base) * rsqrtf(sqrtf(base));
  if (exponent == 0.5f) return rsqrtf(base);
  return powf(base, -exponent);
}

struct LrnFormula {
  float k, factor, beta;

  explicit LrnFormula(const LrnShape& s) : k(s.within_channel ? 1.0f : s.k), beta(s.beta) {
    const float n = static_cast<float>(s.local_size);
    factor = s.alpha / (s.within_channel ? n * n : n);
  }
  KERAS_CAFFE_DEVICE float Base(float squares) const { return k + factor * squares; }
  KERAS_CAFFE_DEVICE float Power(float base) const { return InversePower(base, beta); }
  KERAS_CAFFE_DEVICE float Gradient(float x, float dy, float power, float ratios) const {
    return dy * power - 2.0f * beta * factor * x * ratios;
  }
};

template <int N>
KERAS_CAFFE_DEVICE float Sum(const float* values) {
  float sum = 0.0f;
#pragma unroll
  for (int j = 0; j < N; ++j) sum += values[j];
  return sum;
}

template <int N>
KERAS_CAFFE_DEVICE float SumOfSquares(const float* values) {
  float sum = 0.0f;
#pragma unroll
  for (int j = 0; j < N; ++j) sum += values[j] * values[j];
  return sum;
}

// y of x, or (dy is not null) dx of both, in `out`.
int LrnAcross(const LrnShape& shape, const float* x, const float* dy, float* out, void* stream);
int LrnWithin(const LrnShape& shape, const float* x, const float* dy, float* out, void* stream);

inline int64_t LrnSize(const LrnShape& s) { return s.batch * s.channels * s.height * s.width; }

}  // namespace keras_caffe

#endif  // KERAS_CAFFE_OPS_LRN_LRN_CUDA_H_
