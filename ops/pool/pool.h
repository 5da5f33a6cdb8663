// Pooling as Caffe lays its windows (pooling_layer.cpp): window i covers [i s - p, i s - p + k), cut to the input.
#ifndef KERAS_CAFFE_OPS_POOL_POOL_H_
#define KERAS_CAFFE_OPS_POOL_POOL_H_

#include <cstdint>

#include "ops/common/parallel.h"

struct KerasCaffePoolShape {
  int64_t batch, channels, height, width, out_height, out_width;
  int32_t kernel_h, kernel_w, stride_h, stride_w, pad_h, pad_w;
  int32_t channels_last;  // (N, H, W, C), else (N, C, H, W)
};

namespace keras_caffe {

using PoolShape = KerasCaffePoolShape;

// Number of windows along one axis; `clip` drops the last one if it would begin beyond the padding (any pad is set).
// Negative where the window is larger than what there is.
int64_t PoolOutput(int64_t size, int64_t kernel, int64_t stride, int64_t pad, bool ceil, bool clip);

// y = first maximum of each window, -FLT_MAX in an empty one; mask (may be null) = its index h W + w, or -1.
void MaxPool(const PoolShape& shape, const float* x, float* y, int32_t* mask, const Parallel& parallel);

// dx = for each cell the sum of dy over the windows whose mask names it.
void MaskPoolGrad(const PoolShape& shape, const float* dy, const int32_t* mask, float* dx, const Parallel& parallel);

// y = sum of each window / its area up to H + p (padding counts, what sticks out beyond it does not).
void AveragePool(const PoolShape& shape, const float* x, float* y, const Parallel& parallel);

void AveragePoolGrad(const PoolShape& shape, const float* dy, float* dx, const Parallel& parallel);

// Training: y = the first cell where the running sum reaches uniform * (sum of the window), mask = its index.
void StochasticPool(const PoolShape& shape, const float* x, const float* uniform, float* y, int32_t* mask,
                    const Parallel& parallel);

// Inference: y = sum x^2 / sum x, 0 where the sum is not positive.
void StochasticMeanPool(const PoolShape& shape, const float* x, float* y, const Parallel& parallel);

void StochasticMeanPoolGrad(const PoolShape& shape, const float* x, const float* dy, float* dx, const Parallel& parallel);

}  // namespace keras_caffe

// The same on a GPU (pool_cuda.cu): device pointers, float32, and the stream to work on. 0, or a cudaError_t.
extern "C" {
int keras_caffe_max_pool(const KerasCaffePoolShape* shape, const float* x, float* y, int32_t* mask, void* stream);
int keras_caffe_mask_pool_grad(const KerasCaffePoolShape* shape, const float* dy, const int32_t* mask, float* dx,
                               void* stream);
int keras_caffe_average_pool(const KerasCaffePoolShape* shape, const float* x, float* y, void* stream);
int keras_caffe_average_pool_grad(const KerasCaffePoolShape* shape, const float* dy, float* dx, void* stream);
int keras_caffe_stochastic_pool(const KerasCaffePoolShape* shape, const float* x, const float* uniform, float* y,
                                int32_t* mask, void* stream);
int keras_caffe_stochastic_mean_pool(const KerasCaffePoolShape* shape, const float* x, float* y, void* stream);
int keras_caffe_stochastic_mean_pool_grad(const KerasCaffePoolShape* shape, const float* x, const float* dy, float* dx,
                                          void* stream);
}

#endif  // KERAS_CAFFE_OPS_POOL_POOL_H_
