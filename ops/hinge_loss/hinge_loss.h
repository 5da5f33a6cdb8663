// One-against-all hinge loss (hinge_loss_layer.cpp): h = max(0, 1 - s x), s = 1 at the label, else -1.
#ifndef KERAS_CAFFE_OPS_HINGE_LOSS_HINGE_LOSS_H_
#define KERAS_CAFFE_OPS_HINGE_LOSS_HINGE_LOSS_H_

#include <cstdint>

#include "ops/common/parallel.h"

namespace keras_caffe {

// loss = sum h / N, or sum h^2 / N (squared), NaN if a label is none of the classes; gradient (N, K) = that of the loss.
// Labels are truncated towards zero. The sum does not depend on the number of threads.
void HingeLoss(int64_t samples, int64_t classes, bool squared, const float* scores, const float* labels, float* loss,
               float* gradient, const Parallel& parallel);

}  // namespace keras_caffe

// The same on a GPU (hinge_loss_cuda.cu): device pointers, float32, and the stream to work on. 0, or a cudaError_t.
extern "C" int keras_caffe_hinge_loss(int64_t samples, int64_t classes, int32_t squared, const float* scores,
                                      const float* labels, float* loss, float* gradient, void* stream);

#endif  // KERAS_CAFFE_OPS_HINGE_LOSS_HINGE_LOSS_H_
