// Two kernels and no memory of their own: each block of the first writes its part of the gradient and then the sum of
// its part over the first value there; the second, one block, adds these up and puts the gradient back. Which
// values are added in which order depends on the sizes alone.
#include "ops/common/launch.h"
#include "ops/hinge_loss/hinge_loss.h"

namespace keras_caffe {
namespace {

constexpr int64_t kPart = 4096, kMostParts = 1024;  // at least so many values to a block, at most so many blocks
constexpr int kTurns = 4;

struct Scores {
  int64_t samples, classes, part, parts;
  bool squared;
  const float* scores;
  const float* labels;
};

struct Term {
  float loss, gradient;
};

// NaN stays NaN. A label that is none of the classes makes the loss NaN.
KERAS_CAFFE_DEVICE Term At(const Scores& s, int64_t sample, int64_t k, float score) {
  const float label = s.labels[sample], factor = 1.0f / static_cast<float>(s.samples);
  const bool valid = label > -1.0f && label < static_cast<float>(s.classes);
  const float sign = valid && static_cast<int64_t>(label) == k ? 1.0f : -1.0f;
  const float margin = 1.0f - sign * score, hinge = margin <= 0.0f ? 0.0f : margin;
  const float slope = s.squared ? 2.0f * hinge * factor : (hinge > 0.0f ? factor : 0.0f);
  return {valid ? (s.squared ? hinge * hinge : hinge) : NAN, -sign * slope};
}

// The sum over the block's threads, known to the first one.
KERAS_CAFFE_DEVICE float BlockSum(float value) {
  __shared__ float sums[kThreads];
  __syncthreads();  // the first thread has read what the last sum left
  sums[threadIdx.x] = value;
  for (unsigned half = kThreads / 2; half > 0; half /= 2) {
    __syncthreads();
    if (threadIdx.x < half) sums[threadIdx.x] += sums[threadIdx.x + half];
  }
  return sums[0];
}

// The sum of a thread's values of a part. It takes kTurns values a block's width apart and has all of them on the way
// before it writes the first.
template <typename I>
KERAS_CAFFE_DEVICE float Part(const Scores& s, const Divider<I>& classes, int64_t begin, I count,
                              float* __restrict__ gradient) {
  const int64_t sample = begin / s.classes, k = begin - sample * s.classes;  // of the part's first value
  float sum = 0.0f;
  for (I i = threadIdx.x; i < count; i += kThreads * kTurns) {
    float score[kTurns] = {};
#pragma unroll
    for (int t = 0; t < kTurns; ++t) {
      if (i + t * kThreads < count) score[t] = s.scores[begin + i + t * kThreads];
    }
#pragma unroll
    for (int t = 0; t < kTurns; ++t) {
      const I at = i + t * kThreads;
      if (at >= count) continue;
      I more = static_cast<I>(k) + at;
      const I own = Take(classes, &more);
      const Term term = At(s, sample + more, own, score[t]);
      sum += term.loss;
      gradient[begin + at] = term.gradient;
    }
  }
  return sum;
}

template <typename I>
__global__ void PartKernel(Scores s, Divider<I> classes, float* __restrict__ gradient) {
  for (int64_t part = blockIdx.x; part < s.parts; part += gridDim.x) {
    const int64_t begin = part * s.part, left = s.samples * s.classes - begin;
    const float sum = BlockSum(Part(s, classes, begin, static_cast<I>(left < s.part ? left : s.part), gradient));
    if (threadIdx.x == 0) gradient[begin] = sum;
  }
}

__global__ void WholeKernel(Scores s, float* gradient, float* loss) {
  float sum = 0.0f;
  for (int64_t p = threadIdx.x; p < s.parts; p += kThreads) {
    const int64_t at = p * s.part, sample = at / s.classes;
    sum += gradient[at];
    gradient[at] = At(s, sample, at - sample * s.classes, s.scores[at]).gradient;
  }
  sum = BlockSum(sum);
  if (threadIdx.x == 0) *loss = sum / static_cast<float>(s.samples);
}

}  // namespace
}  // namespace keras_caffe

extern "C" int keras_caffe_hinge_loss(int64_t samples, int64_t classes, int32_t squared, const float* scores,
                                      const float* labels, float* loss, float* gradient, void* stream) {
  using namespace keras_caffe;
  Scores s{samples, classes, 1, 0, squared != 0, scores, labels};
  const int64_t size = samples * classes;
  if (size > 0) {
    s.part = std::max(kPart, (size + kMostParts - 1) / kMostParts);
    s.parts = (size + s.part - 1) / s.part;
    const int64_t threads = s.parts * kThreads;
    const int error = s.classes + s.part < kShort
                          ? Launch(PartKernel<uint32_t>, threads, stream, s, Divider<uint32_t>(classes), gradient)
                          : Launch(PartKernel<int64_t>, threads, stream, s, Divider<int64_t>(classes), gradient);
    if (error != cudaSuccess) return error;
  }
  return Launch(WholeKernel, kThreads, stream, s, gradient, loss);
}
