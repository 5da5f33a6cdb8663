// A record is parsed where it lies, and each of its planes is written into the batch row by row.
#include "ops/datum_batch/datum_batch.h"

#include <algorithm>
#include <cstring>
#include <vector>

namespace keras_caffe {
namespace {

// Fields of caffe.Datum, and protobuf's wire types.
enum Field { kChannels = 1, kHeight = 2, kWidth = 3, kData = 4, kLabel = 5, kFloats = 6, kEncoded = 7 };
enum Wire { kVarint = 0, kFixed64 = 1, kBytes = 2, kFixed32 = 5 };

struct Reader {
  const uint8_t* at;
  const uint8_t* end;

  size_t left() const { return static_cast<size_t>(end - at); }

  bool Varint(uint64_t* value) {
    *value = 0;
    for (int shift = 0; shift < 70; shift += 7) {
      if (at == end) return false;
      const uint8_t byte = *at++;
      if (shift < 64) *value |= static_cast<uint64_t>(byte & 127) << shift;
      if (byte < 128) return true;
    }
    return false;
  }

  bool Skip(uint64_t bytes) {
    if (bytes > left()) return false;
    at += bytes;
    return true;
  }
};

bool TakeNumber(uint64_t field, uint64_t value, Datum* datum) {
  const int32_t number = static_cast<int32_t>(static_cast<uint32_t>(value));
  switch (field) {
    case kChannels: datum->channels = number; return true;
    case kHeight: datum->height = number; return true;
    case kWidth: datum->width = number; return true;
    case kLabel: datum->label = number; return true;
    case kEncoded: datum->encoded = value != 0; return true;
    default: return field != kData;
  }
}

bool TakeBytes(uint64_t field, const uint8_t* bytes, uint64_t size, Datum* datum) {
  if (field == kData) {
    datum->data = bytes;
    datum->data_size = size;
  } else if (field == kFloats) {
    if (datum->floats || size % sizeof(float)) return false;
    datum->floats = bytes;
    datum->float_count = size / sizeof(float);
    datum->float_step = sizeof(float);
  }
  return true;
}

// One of the floats of a record that does not pack them, as Caffe writes it: each has a tag of one byte before it.
bool TakeFloat(const uint8_t* bytes, Datum* datum) {
  constexpr size_t kStep = sizeof(float) + 1;
  if (!datum->floats) {
    datum->floats = bytes;
    datum->float_step = kStep;
  }
  if (datum->float_step != kStep || bytes != datum->floats + datum->float_count * kStep) return false;
  ++datum->float_count;
  return true;
}

bool TakeField(Reader* reader, Datum* datum) {
  uint64_t tag, value;
  if (!reader->Varint(&tag)) return false;
  switch (tag & 7) {
    case kVarint: return reader->Varint(&value) && TakeNumber(tag >> 3, value, datum);
    case kFixed64: return reader->Skip(8);
    case kFixed32: {
      const uint8_t* bytes = reader->at;
      return reader->Skip(sizeof(float)) && ((tag >> 3) != kFloats || TakeFloat(bytes, datum));
    }
    case kBytes: {
      if (!reader->Varint(&value)) return false;
      const uint8_t* bytes = reader->at;
      return reader->Skip(value) && TakeBytes(tag >> 3, bytes, value, datum);
    }
    default: return false;
  }
}

// y[i * step] = (x[i] - mean[i * mean_step]) * scale, or from the last x on if mirrored
KERAS_CAFFE_TARGETS void Row(const uint8_t* x, int64_t size, bool mirror, const float* mean, int64_t mean_step,
                             float scale, float* y) {
  if (mirror) {
    for (int64_t i = 0; i < size; ++i) y[i] = (x[size - 1 - i] - mean[(size - 1 - i) * mean_step]) * scale;
  } else if (mean_step) {
    for (int64_t i = 0; i < size; ++i) y[i] = (x[i] - mean[i]) * scale;
  } else {
    for (int64_t i = 0; i < size; ++i) y[i] = (x[i] - mean[0]) * scale;
  }
}

void FloatRow(const uint8_t* x, size_t step, int64_t size, bool mirror, const float* mean, int64_t mean_step,
              float scale, float* y) {
  for (int64_t i = 0; i < size; ++i) {
    const int64_t from = mirror ? size - 1 - i : i;
    float value;
    std::memcpy(&value, x + from * step, sizeof(float));
    y[i] = (value - mean[from * mean_step]) * scale;
  }
}

}  // namespace

bool ParseDatum(const uint8_t* record, size_t size, Datum* datum) {
  *datum = Datum();
  Reader reader{record, record + size};
  while (reader.at != reader.end) {
    if (!TakeField(&reader, datum)) return false;
  }
  return true;
}

void TransformDatum(const DatumShape& shape, const Datum& datum, const DatumWindow& window, const float* mean,
                    float* out) {
  const float zero = 0.0f;
  const bool whole = mean && shape.mean_height * shape.mean_width > 1;  // a mean of the image's size
  const bool bytes = datum.data_size > 0;
  const size_t step = datum.float_step;
  const int64_t plane = shape.height * shape.width, width = shape.out_width;
  std::vector<float> rows(shape.channels_last ? width * shape.channels : 0);
  for (int64_t h = 0; h < shape.out_height; ++h) {
    for (int64_t c = 0; c < shape.channels; ++c) {
      const int64_t from = c * plane + (window.top + h) * shape.width + window.left;
      const float* m = !mean ? &zero : whole ? mean + from : mean + (shape.mean_channels > 1 ? c : 0);
      float* y = shape.channels_last ? rows.data() + c * width : out + (c * shape.out_height + h) * width;
      if (bytes) Row(datum.data + from, width, window.mirror, m, whole, shape.scale, y);
      else FloatRow(datum.floats + from * step, step, width, window.mirror, m, whole, shape.scale, y);
    }
    if (!shape.channels_last) continue;
    float* y = out + h * width * shape.channels;
    for (int64_t w = 0; w < width; ++w) {
      for (int64_t c = 0; c < shape.channels; ++c) y[w * shape.channels + c] = rows[c * width + w];
    }
  }
}

}  // namespace keras_caffe
