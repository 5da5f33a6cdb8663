// Each method is one loop over the parameters. Blocks go to the threads; within one the loop runs on vectors. Sums of
// products are rounded once, as they are in the BLAS that Caffe calls for them.
#include "ops/solver_update/solver_update.h"

#include <cmath>

namespace keras_caffe {
namespace {

constexpr int64_t kBlock = 1 << 14;

inline float Gradient(const SolverUpdate& u, float gradient, float weight) {
  if (u.decay == 0.0f) return u.scale * gradient;  // also where the weight is infinite
  if (!u.l1) return std::fma(u.decay, weight, u.scale * gradient);
  const float sign = static_cast<float>((weight > 0.0f) - (weight < 0.0f));
  return u.scale * gradient + u.decay * sign;
}

KERAS_CAFFE_TARGETS void Sgd(SolverUpdate u, int64_t size, const float* gradient, float* w, float* h) {
  for (int64_t i = 0; i < size; ++i) {
    h[i] = std::fma(-u.rate, Gradient(u, gradient[i], w[i]), u.momentum * h[i]);
    w[i] += h[i];
  }
}

KERAS_CAFFE_TARGETS void Nesterov(SolverUpdate u, int64_t size, const float* gradient, float* w, float* h) {
  for (int64_t i = 0; i < size; ++i) {
    const float step = u.rate * Gradient(u, gradient[i], w[i]);
    h[i] = u.momentum * h[i] - step;
    w[i] += u.momentum * h[i] - step;
  }
}

KERAS_CAFFE_TARGETS void AdaGrad(SolverUpdate u, int64_t size, const float* gradient, float* w, float* h) {
  for (int64_t i = 0; i < size; ++i) {
    const float g = Gradient(u, gradient[i], w[i]);
    h[i] += g * g;
    w[i] -= u.rate * g / (std::sqrt(h[i]) + u.delta);
  }
}

KERAS_CAFFE_TARGETS void RmsProp(SolverUpdate u, int64_t size, const float* gradient, float* w, float* h) {
  for (int64_t i = 0; i < size; ++i) {
    const float g = Gradient(u, gradient[i], w[i]);
    h[i] = u.decay2 * h[i] + (1.0f - u.decay2) * (g * g);
    w[i] -= u.rate * g / (std::sqrt(h[i]) + u.delta);
  }
}

KERAS_CAFFE_TARGETS void AdaDelta(SolverUpdate u, int64_t size, const float* gradient, float* w, float* h, float* s) {
  for (int64_t i = 0; i < size; ++i) {
    const float g = Gradient(u, gradient[i], w[i]);
    h[i] = u.momentum * h[i] + (1.0f - u.momentum) * (g * g);
    const float step = g * std::sqrt((s[i] + u.delta) / (h[i] + u.delta));
    s[i] = u.momentum * s[i] + (1.0f - u.momentum) * (step * step);
    w[i] -= u.rate * step;
  }
}

KERAS_CAFFE_TARGETS void Adam(SolverUpdate u, int64_t size, const float* gradient, float* w, float* h, float* s) {
  for (int64_t i = 0; i < size; ++i) {
    const float g = Gradient(u, gradient[i], w[i]);
    h[i] = u.momentum * h[i] + (1.0f - u.momentum) * g;
    s[i] = u.decay2 * s[i] + (1.0f - u.decay2) * (g * g);
    w[i] -= u.rate * h[i] / (std::sqrt(s[i]) + u.delta);
  }
}

void Update(const SolverUpdate& u, int64_t size, const float* gradient, float* w, float* h, float* s) {
  switch (u.method) {
    case kKerasCaffeSgd: return Sgd(u, size, gradient, w, h);
    case kKerasCaffeNesterov: return Nesterov(u, size, gradient, w, h);
    case kKerasCaffeAdaGrad: return AdaGrad(u, size, gradient, w, h);
    case kKerasCaffeRmsProp: return RmsProp(u, size, gradient, w, h);
    case kKerasCaffeAdaDelta: return AdaDelta(u, size, gradient, w, h, s);
    case kKerasCaffeAdam: return Adam(u, size, gradient, w, h, s);
  }
}

}  // namespace

void UpdateParameters(const SolverUpdate& update, int64_t size, const float* gradient, float* weights, float* first,
                      float* second, const Parallel& parallel) {
  parallel((size + kBlock - 1) / kBlock, 2 * kBlock, [&](int64_t begin, int64_t end) {
    const int64_t from = begin * kBlock, count = (end * kBlock < size ? end * kBlock : size) - from;
    Update(update, count, gradient + from, weights + from, first + from, second ? second + from : nullptr);
  });
}

}  // namespace keras_caffe
