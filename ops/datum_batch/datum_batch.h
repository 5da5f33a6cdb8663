// Serialized Datum records -> a float batch (data_transformer.cpp): crop, mirror, (pixel - mean) * scale, the mean read
// where the pixel comes from.
#ifndef KERAS_CAFFE_OPS_DATUM_BATCH_DATUM_BATCH_H_
#define KERAS_CAFFE_OPS_DATUM_BATCH_DATUM_BATCH_H_

#include <cstddef>
#include <cstdint>

#include "ops/common/parallel.h"

struct KerasCaffeDatumWindow {  // what is drawn for one record
  int32_t mirror, top, left;
};

struct KerasCaffeDatumShape {
  int64_t batch, channels, height, width;      // of the records
  int64_t out_height, out_width;               // of the windows
  int64_t mean_channels, mean_height, mean_width;  // 0: no mean; 1 or C values (height and width 1); or the image's sizes
  float scale;
  int32_t channels_last;  // of the batch; records and mean are (C, H, W)
};

namespace keras_caffe {

using DatumShape = KerasCaffeDatumShape;
using DatumWindow = KerasCaffeDatumWindow;

struct Datum {
  int64_t channels = 0, height = 0, width = 0;
  int32_t label = 0;
  bool encoded = false;
  const uint8_t* data = nullptr;  // in the record
  size_t data_size = 0;
  const uint8_t* floats = nullptr;  // little-endian float32 in the record, may lie unaligned
  size_t float_count = 0;
  size_t float_step = 0;  // bytes from one to the next: 4 if they are packed, else 5
};

// Reads a record's fields where they lie; false if the bytes are no Datum, or one whose floats are not all in a row.
bool ParseDatum(const uint8_t* record, size_t size, Datum* datum);

// Writes one window into its place in the batch, which begins at `out`.
void TransformDatum(const DatumShape& shape, const Datum& datum, const DatumWindow& window, const float* mean,
                    float* out);

}  // namespace keras_caffe

// The transformation of raw 8-bit records on a GPU (datum_batch_cuda.cu): `pixels` is (N, C, H, W). 0, or a cudaError_t.
extern "C" int keras_caffe_datum_batch(const KerasCaffeDatumShape* shape, const uint8_t* pixels,
                                       const KerasCaffeDatumWindow* windows, const float* mean, float* batch,
                                       void* stream);

#endif  // KERAS_CAFFE_OPS_DATUM_BATCH_DATUM_BATCH_H_
