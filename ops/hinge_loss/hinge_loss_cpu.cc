// A sample's classes are all taken as "not the label" first, and the label is put right afterwards. Samples are added up
// one after the other, so that the sum does not depend on how they were shared out.
#include "ops/hinge_loss/hinge_loss.h"

#include <limits>
#include <vector>

namespace keras_caffe {
namespace {

constexpr int kLanes = 16;

inline float Positive(float x) { return x <= 0.0f ? 0.0f : x; }  // NaN stays NaN

struct Norm {
  bool squared;
  float factor;  // 1 / N

  float Value(float hinge) const { return squared ? hinge * hinge : hinge; }
  float Slope(float hinge) const { return squared ? 2.0f * hinge * factor : (hinge > 0.0f ? factor : 0.0f); }
};

KERAS_CAFFE_TARGETS double NotTheLabel(Norm norm, int64_t classes, const float* scores, float* gradient) {
  double sum = 0.0;
  float lanes[kLanes] = {};
  int64_t k = 0;
  for (; k + kLanes <= classes; k += kLanes) {
    for (int j = 0; j < kLanes; ++j) {
      const float hinge = Positive(1.0f + scores[k + j]);
      lanes[j] += norm.Value(hinge);
      gradient[k + j] = norm.Slope(hinge);
    }
  }
  for (; k < classes; ++k) {
    const float hinge = Positive(1.0f + scores[k]);
    sum += norm.Value(hinge);
    gradient[k] = norm.Slope(hinge);
  }
  for (float lane : lanes) sum += lane;
  return sum;
}

double Sample(Norm norm, int64_t classes, float label, const float* scores, float* gradient) {
  const double sum = NotTheLabel(norm, classes, scores, gradient);
  if (!(label > -1.0f && label < static_cast<float>(classes))) return std::numeric_limits<double>::quiet_NaN();
  const int64_t k = static_cast<int64_t>(label);
  const float hinge = Positive(1.0f - scores[k]);
  gradient[k] = -norm.Slope(hinge);
  return sum - norm.Value(Positive(1.0f + scores[k])) + norm.Value(hinge);
}

}  // namespace

void HingeLoss(int64_t samples, int64_t classes, bool squared, const float* scores, const float* labels, float* loss,
               float* gradient, const Parallel& parallel) {
  const Norm norm{squared, 1.0f / static_cast<float>(samples)};
  std::vector<double> sums(samples);
  parallel(samples, classes * 2 + 20, [&](int64_t begin, int64_t end) {
    for (int64_t n = begin; n < end; ++n) {
      sums[n] = Sample(norm, classes, labels[n], scores + n * classes, gradient + n * classes);
    }
  });
  double total = 0.0;
  for (double sum : sums) total += sum;
  *loss = static_cast<float>(total / static_cast<double>(samples));
}

}  // namespace keras_caffe
