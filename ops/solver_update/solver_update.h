// Caffe's parameter updates (sgd_solver.cpp and its kin), each in one pass over memory.
#ifndef KERAS_CAFFE_OPS_SOLVER_UPDATE_SOLVER_UPDATE_H_
#define KERAS_CAFFE_OPS_SOLVER_UPDATE_SOLVER_UPDATE_H_

#include <cstdint>

#include "ops/common/parallel.h"

enum KerasCaffeSolverMethod {  // h, s: first and second history; g: gradient after scale and decay; r: rate
  kKerasCaffeSgd = 0,          // h <- momentum h - r g; w <- w + h (the history is Caffe's with the sign turned)
  kKerasCaffeNesterov = 1,     // h <- momentum h - r g; w <- w + momentum h - r g
  kKerasCaffeAdaGrad = 2,      // h <- h + g^2; w <- w - r g / (sqrt(h) + delta)
  kKerasCaffeRmsProp = 3,      // h <- decay2 h + (1 - decay2) g^2; w <- w - r g / (sqrt(h) + delta)
  kKerasCaffeAdaDelta = 4,     // h <- m h + (1 - m) g^2; u = g sqrt((s + delta) / (h + delta)); s likewise of u; w <- w - r u
  kKerasCaffeAdam = 5,         // h <- m h + (1 - m) g; s <- decay2 s + (1 - decay2) g^2; w <- w - r h / (sqrt(s) + delta)
};

struct KerasCaffeSolverUpdate {
  int32_t method;   // KerasCaffeSolverMethod
  int32_t l1;       // g = scale * gradient + decay * sign(w), sign(0) = 0; else + decay * w
  float rate;       // r, with lr_mult (Adam: and the correction of the bias)
  float decay;      // weight_decay with decay_mult
  float scale;      // of the raw gradient: clip_gradients and iter_size
  float momentum;   // momentum, Adam's beta1
  float decay2;     // rms_decay, Adam's beta2 (momentum2)
  float delta;      // keeps divisors from 0
};

namespace keras_caffe {

using SolverUpdate = KerasCaffeSolverUpdate;

// Changes weights and histories in place; `second` is used by AdaDelta and Adam only, else null.
void UpdateParameters(const SolverUpdate& update, int64_t size, const float* gradient, float* weights, float* first,
                      float* second, const Parallel& parallel);

}  // namespace keras_caffe

// The same on a GPU (solver_update_cuda.cu): device pointers, and the stream to work on. 0, or a cudaError_t.
extern "C" int keras_caffe_solver_update(const KerasCaffeSolverUpdate* update, int64_t size, const float* gradient,
                                         float* weights, float* first, float* second, void* stream);

#endif  // KERAS_CAFFE_OPS_SOLVER_UPDATE_SOLVER_UPDATE_H_
