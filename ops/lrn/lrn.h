// Local response normalisation (lrn_layer.cpp): y = x S^-beta.
#ifndef KERAS_CAFFE_OPS_LRN_LRN_H_
#define KERAS_CAFFE_OPS_LRN_LRN_H_

#include <cstdint>

#include "ops/common/parallel.h"

struct KerasCaffeLrnShape {
  int64_t batch, channels, height, width;
  int32_t local_size;  // n, odd
  float alpha, beta, k;
  int32_t within_channel;  // S = 1 + alpha/n^2 sum of x^2 over n x n pixels; else k + alpha/n sum over n channels
  int32_t channels_last;   // (N, H, W, C), else (N, C, H, W)
};

namespace keras_caffe {

using LrnShape = KerasCaffeLrnShape;

void Lrn(const LrnShape& shape, const float* x, float* y, const Parallel& parallel);

// dx_c = dy_c S_c^-beta - 2 beta factor x_c sum over the window of dy_j x_j S_j^(-beta - 1), factor = alpha/n or alpha/n^2.
void LrnGrad(const LrnShape& shape, const float* x, const float* dy, float* dx, const Parallel& parallel);

}  // namespace keras_caffe

// The same on a GPU (lrn_cuda.cu): device pointers, float32, and the stream to work on. 0, or a cudaError_t.
extern "C" {
int keras_caffe_lrn(const KerasCaffeLrnShape* shape, const float* x, float* y, void* stream);
int keras_caffe_lrn_grad(const KerasCaffeLrnShape* shape, const float* x, const float* dy, float* dx, void* stream);
}

#endif  // KERAS_CAFFE_OPS_LRN_LRN_H_
