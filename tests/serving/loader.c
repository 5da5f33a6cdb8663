/* Loads a SavedModel through TensorFlow's C API and runs it: what a server does, without Python.
 *
 *   loader EXPORT SCRIPT
 *
 * SCRIPT holds words separated by white space:
 *   in TENSOR float RANK SIZE... FILE      feed float32 values, raw in FILE
 *   in TENSOR string COUNT FILE...         feed a vector of strings, one in each FILE
 *   out TENSOR FILE                        fetch; float32 raw or strings as "LENGTH\nBYTES", the shape in FILE.shape
 *   run                                    run what was named since the last run
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tensorflow/c/c_api.h>

#define MOST 64

static void fail(const char *what, const char *why) {
  fprintf(stderr, "%s: %s\n", what, why);
  exit(1);
}

static void check(TF_Status *status, const char *what) {
  if (TF_GetCode(status) != TF_OK) fail(what, TF_Message(status));
}

static char *word(FILE *script) {
  static char text[4096];
  return fscanf(script, "%4095s", text) == 1 ? text : NULL;
}

static long number(FILE *script) { return atol(word(script)); }

static char *content(const char *path, size_t *size) {
  FILE *file = fopen(path, "rb");
  if (!file) fail(path, "cannot be read");
  fseek(file, 0, SEEK_END);
  *size = (size_t)ftell(file);
  rewind(file);
  char *data = malloc(*size + 1);
  if (fread(data, 1, *size, file) != *size) fail(path, "is cut off");
  fclose(file);
  return data;
}

/* "name:0" or "name" -> the graph's output. */
static TF_Output output(TF_Graph *graph, char *name) {
  char *colon = strrchr(name, ':');
  int index = colon ? atoi(colon + 1) : 0;
  if (colon) *colon = 0;
  TF_Output found = {TF_GraphOperationByName(graph, name), index};
  if (!found.oper) fail(name, "is no operation of the graph");
  return found;
}

static TF_Tensor *floats(FILE *script) {
  int64_t shape[8];
  int rank = (int)number(script);
  for (int axis = 0; axis < rank; axis++) shape[axis] = number(script);
  size_t size;
  char *data = content(word(script), &size);
  TF_Tensor *tensor = TF_AllocateTensor(TF_FLOAT, shape, rank, size);
  memcpy(TF_TensorData(tensor), data, size);
  free(data);
  return tensor;
}

static TF_Tensor *strings(FILE *script) {
  int64_t count = number(script);
  TF_Tensor *tensor = TF_AllocateTensor(TF_STRING, &count, 1, (size_t)count * sizeof(TF_TString));
  TF_TString *texts = TF_TensorData(tensor);
  for (int64_t i = 0; i < count; i++) {
    size_t size;
    char *data = content(word(script), &size);
    TF_StringInit(&texts[i]);
    TF_StringCopy(&texts[i], data, size);
    free(data);
  }
  return tensor;
}

static void save(const TF_Tensor *tensor, const char *path) {
  char shape[4104];
  strcat(strcpy(shape, path), ".shape");
  FILE *sizes = fopen(shape, "w"), *file = fopen(path, "wb");
  if (!file || !sizes) fail(path, "cannot be written");
  for (int axis = 0; axis < TF_NumDims(tensor); axis++) fprintf(sizes, "%lld ", (long long)TF_Dim(tensor, axis));
  if (TF_TensorType(tensor) == TF_STRING) {
    const TF_TString *texts = TF_TensorData(tensor);
    for (int64_t i = 0; i < TF_TensorElementCount(tensor); i++) {
      fprintf(file, "%zu\n", TF_StringGetSize(&texts[i]));
      fwrite(TF_StringGetDataPointer(&texts[i]), 1, TF_StringGetSize(&texts[i]), file);
    }
  } else {
    if (TF_TensorType(tensor) != TF_FLOAT) fail(path, "is neither float32 nor string");
    fwrite(TF_TensorData(tensor), 1, TF_TensorByteSize(tensor), file);
  }
  fclose(file);
  fclose(sizes);
}

int main(int argc, char **argv) {
  if (argc != 3) fail("usage", "loader EXPORT SCRIPT");
  TF_Status *status = TF_NewStatus();
  TF_Graph *graph = TF_NewGraph();
  TF_SessionOptions *options = TF_NewSessionOptions();
  const char *tags[] = {"serve"};
  TF_Session *session = TF_LoadSessionFromSavedModel(options, NULL, argv[1], tags, 1, graph, NULL, status);
  check(status, "loading");

  TF_Output fed[MOST], fetched[MOST];
  TF_Tensor *values[MOST], *results[MOST];
  char paths[MOST][4096];
  int inputs = 0, outputs = 0;
  FILE *script = fopen(argv[2], "r");
  if (!script) fail(argv[2], "cannot be read");
  for (char *verb; (verb = word(script));) {
    if (inputs == MOST || outputs == MOST) fail(argv[2], "names too many tensors");
    if (!strcmp(verb, "in")) {
      fed[inputs] = output(graph, word(script));
      values[inputs++] = strcmp(word(script), "string") ? floats(script) : strings(script);
    } else if (!strcmp(verb, "out")) {
      fetched[outputs] = output(graph, word(script));
      strcpy(paths[outputs++], word(script));
    } else {
      TF_SessionRun(session, NULL, fed, values, inputs, fetched, results, outputs, NULL, 0, NULL, status);
      check(status, "running");
      for (int i = 0; i < outputs; i++) save(results[i], paths[i]), TF_DeleteTensor(results[i]);
      for (int i = 0; i < inputs; i++) TF_DeleteTensor(values[i]);
      inputs = outputs = 0;
    }
  }
  TF_CloseSession(session, status);
  TF_DeleteSession(session, status);
  return 0;
}
