// Calls every kernel over random shapes, empty and odd ones too, with arrays of exactly the size that it may touch, for a
// build with sanitizers (scripts/check_memory.sh): the CPU kernels, and the CUDA kernels by their emulation. Arguments:
// rounds, seed.
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <vector>

#include "ops/hinge_loss/hinge_loss.h"
#include "ops/lrn/lrn.h"
#include "ops/pixel_batch/pixel_batch.h"
#include "ops/pool/pool.h"
#include "ops/solver_update/solver_update.h"

namespace {

using keras_caffe::LrnShape;
using keras_caffe::PoolShape;
using keras_caffe::Range;
using keras_caffe::SolverUpdate;
using Floats = std::vector<float>;
using Indices = std::vector<int32_t>;
using Bytes = std::vector<uint8_t>;

std::mt19937 engine;
int failures = 0;

int64_t Draw(int64_t low, int64_t high) { return std::uniform_int_distribution<int64_t>(low, high)(engine); }

Floats Values(int64_t size) {
  Floats values(size);
  for (float& value : values) value = static_cast<float>(Draw(-64, 64)) / 16;
  return values;
}

// The last part first, so that nothing relies on an order.
void InParts(int64_t units, int64_t, const Range& range) {
  const int64_t parts = std::min<int64_t>(units, 3);
  for (int64_t p = parts; p-- > 0;) range(units * p / parts, units * (p + 1) / parts);
}

void Expect(bool right, const char* what) {
  if (right) return;
  ++failures;
  std::fprintf(stderr, "%s\n", what);
}

// Both kernels' results, which come from different orders of the same sums.
void Agree(const Floats& cpu, const Floats& cuda, const char* what) {
  bool right = true;
  for (size_t i = 0; i < cpu.size(); ++i) {
    const float difference = std::fabs(cpu[i] - cuda[i]);
    right &= cpu[i] == cuda[i] || difference <= 1e-4f * (1 + std::fabs(cpu[i])) ||
             (std::isnan(cpu[i]) && std::isnan(cuda[i]));
  }
  Expect(right, what);
}

void CheckMaxPool(const PoolShape& s, const Floats& x, const Floats& dy) {
  Floats y(dy.size()), other_y(dy.size()), alone(dy.size()), dx(x.size()), other_dx(x.size());
  Indices mask(dy.size()), other_mask(dy.size());
  keras_caffe::MaxPool(s, x.data(), alone.data(), nullptr, InParts);
  keras_caffe::MaxPool(s, x.data(), y.data(), mask.data(), InParts);
  keras_caffe_max_pool(&s, x.data(), other_y.data(), other_mask.data(), nullptr);
  Expect(y == alone && y == other_y && mask == other_mask, "MaxPool differs");
  keras_caffe_max_pool(&s, x.data(), other_y.data(), nullptr, nullptr);
  Expect(y == other_y, "MaxPool without mask differs");
  keras_caffe::MaskPoolGrad(s, dy.data(), mask.data(), dx.data(), InParts);
  keras_caffe_mask_pool_grad(&s, dy.data(), mask.data(), other_dx.data(), nullptr);
  Agree(dx, other_dx, "MaskPoolGrad differs");
}

void CheckAveragePool(const PoolShape& s, const Floats& x, const Floats& dy) {
  Floats y(dy.size()), other_y(dy.size()), dx(x.size()), other_dx(x.size());
  keras_caffe::AveragePool(s, x.data(), y.data(), InParts);
  keras_caffe_average_pool(&s, x.data(), other_y.data(), nullptr);
  Agree(y, other_y, "AveragePool differs");
  keras_caffe::AveragePoolGrad(s, dy.data(), dx.data(), InParts);
  keras_caffe_average_pool_grad(&s, dy.data(), other_dx.data(), nullptr);
  Agree(dx, other_dx, "AveragePoolGrad differs");
}

void CheckStochasticPool(const PoolShape& s, Floats x, const Floats& dy) {
  for (float& value : x) value = std::fabs(value);
  Floats uniform(dy.size()), y(dy.size()), other_y(dy.size()), dx(x.size()), other_dx(x.size());
  Indices mask(dy.size()), other_mask(dy.size());
  for (float& value : uniform) value = static_cast<float>(Draw(0, 1023)) / 1024;
  keras_caffe::StochasticPool(s, x.data(), uniform.data(), y.data(), mask.data(), InParts);
  keras_caffe_stochastic_pool(&s, x.data(), uniform.data(), other_y.data(), other_mask.data(), nullptr);
  Expect(y == other_y && mask == other_mask, "StochasticPool differs");
  keras_caffe::StochasticMeanPool(s, x.data(), y.data(), InParts);
  keras_caffe_stochastic_mean_pool(&s, x.data(), other_y.data(), nullptr);
  Agree(y, other_y, "StochasticMeanPool differs");
  keras_caffe::StochasticMeanPoolGrad(s, x.data(), dy.data(), dx.data(), InParts);
  keras_caffe_stochastic_mean_pool_grad(&s, x.data(), dy.data(), other_dx.data(), nullptr);
  Agree(dx, other_dx, "StochasticMeanPoolGrad differs");
}

void CheckPools() {
  PoolShape s{Draw(0, 3), Draw(0, 20), Draw(1, 14), Draw(1, 14), 0, 0, 0, 0, 0, 0, 0, 0, static_cast<int32_t>(Draw(0, 1))};
  s.kernel_h = static_cast<int32_t>(Draw(1, 8)), s.kernel_w = static_cast<int32_t>(Draw(0, 1) ? s.kernel_h : Draw(1, 8));
  s.stride_h = static_cast<int32_t>(Draw(1, 5)), s.stride_w = static_cast<int32_t>(Draw(1, 5));
  s.pad_h = static_cast<int32_t>(Draw(0, s.kernel_h - 1)), s.pad_w = static_cast<int32_t>(Draw(0, s.kernel_w - 1));
  const bool ceil = Draw(0, 1), clip = s.pad_h || s.pad_w;
  s.out_height = keras_caffe::PoolOutput(s.height, s.kernel_h, s.stride_h, s.pad_h, ceil, clip);
  s.out_width = keras_caffe::PoolOutput(s.width, s.kernel_w, s.stride_w, s.pad_w, ceil, clip);
  if (s.out_height < 0 || s.out_width < 0) return;
  const int64_t planes = s.batch * s.channels;
  const Floats x = Values(planes * s.height * s.width), dy = Values(planes * s.out_height * s.out_width);
  CheckMaxPool(s, x, dy);
  CheckAveragePool(s, x, dy);
  CheckStochasticPool(s, x, dy);
}

void CheckLrn() {
  const LrnShape s{Draw(0, 3), Draw(0, 40), Draw(0, 12), Draw(0, 12), static_cast<int32_t>(Draw(0, 8) * 2 + 1), 0.5f,
                   Draw(0, 1) ? 0.75f : 0.6f, 1.0f, static_cast<int32_t>(Draw(0, 1)), static_cast<int32_t>(Draw(0, 1))};
  const int64_t size = s.batch * s.channels * s.height * s.width;
  const Floats x = Values(size), dy = Values(size);
  Floats y(size), other_y(size), dx(size), other_dx(size);
  keras_caffe::Lrn(s, x.data(), y.data(), InParts);
  keras_caffe_lrn(&s, x.data(), other_y.data(), nullptr);
  Agree(y, other_y, "Lrn differs");
  keras_caffe::LrnGrad(s, x.data(), dy.data(), dx.data(), InParts);
  keras_caffe_lrn_grad(&s, x.data(), dy.data(), other_dx.data(), nullptr);
  Agree(dx, other_dx, "LrnGrad differs");
}

void CheckHingeLoss() {
  const int64_t samples = Draw(0, 40), classes = Draw(1, Draw(0, 9) ? 40 : 600);
  const bool squared = Draw(0, 1);
  const Floats scores = Values(samples * classes);
  Floats labels(samples), gradient(samples * classes), other_gradient(samples * classes), loss(1), other_loss(1);
  for (float& label : labels) label = static_cast<float>(Draw(0, 199) ? Draw(0, classes - 1) : Draw(-3, 1000));
  keras_caffe::HingeLoss(samples, classes, squared, scores.data(), labels.data(), loss.data(), gradient.data(), InParts);
  keras_caffe_hinge_loss(samples, classes, squared, scores.data(), labels.data(), other_loss.data(),
                         other_gradient.data(), nullptr);
  Agree(loss, other_loss, "HingeLoss differs");
  Agree(gradient, other_gradient, "HingeLoss's gradient differs");
}

void CheckSolver() {
  const SolverUpdate u{static_cast<int32_t>(Draw(0, 5)), static_cast<int32_t>(Draw(0, 1)), 0.1f, 0.01f, 1.0f, 0.9f, 0.99f,
                       1e-3f};
  const int64_t size = Draw(0, Draw(0, 9) ? 300 : 40000);
  const Floats gradient = Values(size);
  Floats weights = Values(size), first(size, 1.0f), second(u.method < 4 ? 0 : size, 1.0f);
  Floats other_weights = weights, other_first = first, other_second = second;
  float* none = nullptr;
  keras_caffe::UpdateParameters(u, size, gradient.data(), weights.data(), first.data(),
                                u.method < 4 ? none : second.data(), InParts);
  keras_caffe_solver_update(&u, size, gradient.data(), other_weights.data(), other_first.data(),
                            u.method < 4 ? none : other_second.data(), nullptr);
  Agree(weights, other_weights, "UpdateParameters: weights differ");
  Agree(first, other_first, "UpdateParameters: first histories differ");
  Agree(second, other_second, "UpdateParameters: second histories differ");
}

void CheckWindow(const keras_caffe::PixelShape& s, const keras_caffe::Image& image, const keras_caffe::RowMeans& means,
                 const Floats& batch) {
  const int64_t c = s.channels, row = s.channels_last ? s.width * c : s.width;
  const float* mean = means.row(0, 0, image.mirror);
  Floats other(batch.size());
  const uint8_t* pixels = image.pixels + (image.top * image.width + image.left) * c + c - 1;
  const KerasCaffeWindow window{pixels, -1, image.width * c, c, s.means ? mean : nullptr,
                                means.row(0, 1, image.mirror) - mean, s.means > c ? row : 0, other.data(),
                                c, s.height, s.width, s.scale, image.mirror, s.channels_last};
  keras_caffe_transform_window(&window);
  Expect(batch == other, "keras_caffe_transform_window differs");
}

void CheckPixels() {
  keras_caffe::PixelShape s{1, Draw(0, 1) ? 3 : 1, Draw(1, 9), Draw(1, 40), 0, 0.5f, static_cast<int32_t>(Draw(0, 1))};
  const int64_t size = s.channels * s.height * s.width, kinds[] = {0, 1, s.channels, size};
  s.means = kinds[Draw(0, 3)];
  const Floats mean = Values(s.means);
  const int64_t height = s.height + Draw(0, 3), width = s.width + Draw(0, 3);
  Bytes pixels(height * width * s.channels);
  for (uint8_t& pixel : pixels) pixel = static_cast<uint8_t>(Draw(0, 255));
  const keras_caffe::Image image{pixels.data(), width, static_cast<int32_t>(Draw(0, 1)),
                                 static_cast<int32_t>(Draw(0, height - s.height)),
                                 static_cast<int32_t>(Draw(0, width - s.width))};
  Floats batch(size), other(size);
  keras_caffe_pixel_batch(&s, &image, mean.data(), other.data(), nullptr);
  keras_caffe::TransformPixels(s, image, keras_caffe::RowMeans(s, mean.data()), batch.data());
  Expect(batch == other, "TransformPixels differs");
  CheckWindow(s, image, keras_caffe::RowMeans(s, mean.data()), batch);
}

}  // namespace

int main(int argc, char** argv) {
  const int rounds = argc > 1 ? std::atoi(argv[1]) : 200;
  engine.seed(argc > 2 ? std::atoi(argv[2]) : 1);
  for (int round = 0; round < rounds; ++round) {
    CheckPools();
    CheckLrn();
    CheckHingeLoss();
    CheckSolver();
    CheckPixels();
  }
  std::printf("%d rounds over all kernels, %d differences\n", rounds, failures);
  return failures ? 1 : 0;
}
