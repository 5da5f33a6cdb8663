// Each method reads and writes every array once, four values at a time where all arrays are aligned.
#include "ops/common/launch.h"
#include "ops/solver_update/solver_update.h"

namespace keras_caffe {
namespace {

// As in Caffe a decay of 0 leaves the weight out, so that an infinite one does no harm.
KERAS_CAFFE_DEVICE float Regularized(const SolverUpdate& u, float gradient, float weight) {
  const float g = u.scale * gradient;
  if (u.decay == 0.0f) return g;
  if (!u.l1) return g + u.decay * weight;
  return g + u.decay * static_cast<float>((weight > 0.0f) - (weight < 0.0f));
}

template <int M>
KERAS_CAFFE_DEVICE void Update(const SolverUpdate& u, float gradient, float* w, float* h, float* s) {
  const float g = Regularized(u, gradient, *w);
  if (M == kKerasCaffeSgd) {
    *h = u.momentum * *h - u.rate * g;
    *w += *h;
  } else if (M == kKerasCaffeNesterov) {
    const float step = u.rate * g;
    *h = u.momentum * *h - step;
    *w += u.momentum * *h - step;
  } else if (M == kKerasCaffeAdaGrad) {
    *h += g * g;
    *w -= u.rate * g / (sqrtf(*h) + u.delta);
  } else if (M == kKerasCaffeRmsProp) {
    *h = u.decay2 * *h + (1.0f - u.decay2) * (g * g);
    *w -= u.rate * g / (sqrtf(*h) + u.delta);
  } else if (M == kKerasCaffeAdaDelta) {
    *h = u.momentum * *h + (1.0f - u.momentum) * (g * g);
    const float step = g * sqrtf((*s + u.delta) / (*h + u.delta));
    *s = u.momentum * *s + (1.0f - u.momentum) * (step * step);
    *w -= u.rate * step;
  } else {
    *h = u.momentum * *h + (1.0f - u.momentum) * g;
    *s = u.decay2 * *s + (1.0f - u.decay2) * (g * g);
    *w -= u.rate * *h / (sqrtf(*s) + u.delta);
  }
}

// Unit i changes the V parameters from `begin + i V` on.
template <int M, int V>
__global__ void UpdateKernel(SolverUpdate u, int64_t begin, int64_t units, const float* gradient, float* weights,
                             float* first, float* second) {
  constexpr bool kSecond = M == kKerasCaffeAdaDelta || M == kKerasCaffeAdam;
  for (int64_t i = FirstUnit<int64_t>(); i < units; i += UnitStep<int64_t>()) {
    const int64_t at = begin + i * V;
    const Values<float, V> g = Read<V>(gradient + at);
    Values<float, V> w = Read<V>(weights + at), h = Read<V>(first + at), s = {};
    if (kSecond) s = Read<V>(second + at);
    for (int v = 0; v < V; ++v) Update<M>(u, g.at[v], &w.at[v], &h.at[v], &s.at[v]);
    Write(w, weights + at);
    Write(h, first + at);
    if (kSecond) Write(s, second + at);
  }
}

template <int M>
int UpdateAll(const SolverUpdate& u, int64_t size, const float* gradient, float* weights, float* first, float* second,
              void* stream) {
  const int64_t quads = Aligned(gradient, weights, first, second) ? size / 4 : 0, rest = size - quads * 4;
  const int error =
      Launch(UpdateKernel<M, 4>, quads, stream, u, int64_t{0}, quads, gradient, weights, first, second);
  if (error != cudaSuccess) return error;
  return Launch(UpdateKernel<M, 1>, rest, stream, u, quads * 4, rest, gradient, weights, first, second);
}

}  // namespace
}  // namespace keras_caffe

extern "C" int keras_caffe_solver_update(const KerasCaffeSolverUpdate* update, int64_t size, const float* gradient,
                                         float* weights, float* first, float* second, void* stream) {
  using namespace keras_caffe;
  const auto run = [&](auto call) { return call(*update, size, gradient, weights, first, second, stream); };
  switch (update->method) {
    case kKerasCaffeSgd: return run(UpdateAll<kKerasCaffeSgd>);
    case kKerasCaffeNesterov: return run(UpdateAll<kKerasCaffeNesterov>);
    case kKerasCaffeAdaGrad: return run(UpdateAll<kKerasCaffeAdaGrad>);
    case kKerasCaffeRmsProp: return run(UpdateAll<kKerasCaffeRmsProp>);
    case kKerasCaffeAdaDelta: return run(UpdateAll<kKerasCaffeAdaDelta>);
    case kKerasCaffeAdam: return run(UpdateAll<kKerasCaffeAdam>);
    default: return cudaErrorInvalidValue;
  }
}
