/* What the tests of missing arguments share: see api_null_test.c. A function's calls are in
 * CALLS_OF(function); each call has one argument that is missing. */
#ifndef TUFF_TESTS_NULL_KIT_H
#define TUFF_TESTS_NULL_KIT_H

#include <tuff/tuff.h>

#include "kit/kit.h"

#define CALLS_OF(function) static void calls_of_##function(void)

/* A call that must be refused. */
#define REFUSED(call) expect_refused((call), #call, __FILE__, __LINE__)
/* An error that names a function names the one that was called, none that it calls. */
static inline void expect_refused(tuff_status status, const char *call, const char *file, int line)
{
    kit_expect_status(status, TUFF_INVALID_ARGUMENT, call, file, line);
    const char *text = tuff_error_message(), *at = strstr(text, ": the argument "), *name = at;
    if (!at) return;
    while (name > text && name[-1] != ' ')
        name--;
    const size_t size = strcspn(call, "(");
    if ((size_t)(at - name) != size || strncmp(name, call, size) != 0)
        fail_msg("%s:%d: %s said \"%s\"", file, line, call, text);
}
/* One that must also leave NULL where its result would go. */
#define REFUSED_OUT(call, out)                                  \
    do {                                                        \
        (out) = (void *)&fixture;                               \
        REFUSED(call);                                          \
        if ((out) != NULL) fail_msg("%s left a result", #call); \
        (out) = NULL;                                           \
    } while (0)

/* One of everything, all of it usable. */
static struct {
    tuff_model *model;
    tuff_device *device;
    const tuff_tokenizer *tokenizer;
    tuff_decoder *decoder;
    tuff_sampler *sampler;
    tuff_stop *stop;
    tuff_dataset *data;
    tuff_trainer *trainer;
    tuff_checkpoint *checkpoint;
    tuff_generator *generator;
    tuff_batcher *batcher;
    tuff_sequence *sequence;
    tuff_embedder *embedder;
    tuff_model *classifier;
    tuff_predictor *predictor;
    tuff_index *index;
    tuff_graph *graph;
    tuff_tensor *tensor;
    tuff_buffer *buffer;
    tuff_program *program;
    tuff_conform_report *report;
} fixture;

#endif
