/* How much each input of a model's matrices matters, for files of few bits. */
#ifndef TUFF_IMPORTANCE_H
#define TUFF_IMPORTANCE_H

#include <stddef.h>
#include <stdint.h>

#include <tuff/device.h>
#include <tuff/model.h>
#include <tuff/status.h>
#include <tuff/watch.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct tuff_importance_params {
    size_t struct_size; /* set by TUFF_IMPORTANCE_PARAMS_INIT */
    int64_t
        context; /* tokens of the text that run together; 0: 512, at most what the model was trained for */
    const tuff_watch *watch; /* TUFF_PHASE_TOKENIZE, in bytes, then TUFF_PHASE_UPLOAD and TUFF_PHASE_OBSERVE,
                                in tokens; NULL: none */
} tuff_importance_params;
#define TUFF_IMPORTANCE_PARAMS_INIT             \
    {                                           \
        sizeof(tuff_importance_params), 0, NULL \
    }

/* Runs a model over text[0..size), UTF-8 of the kind that it is to be good at, some 10,000 words or more, and
 * keeps of each linear layer the mean square of each of its inputs, of experts over the tokens that each is
 * given: by so much the errors of that column's weights count when they are quantized with it
 * (tuff_save_params). It holds for files of the same model alone, and neither needs the model nor the device
 * afterwards. `params` may be NULL. Errors: TUFF_INVALID_ARGUMENT for a text without tokens, TUFF_NOT_FINITE,
 * naming the layer. */
TUFF_API TUFF_MUST_USE tuff_status tuff_importance_create(const tuff_model *model, tuff_device *device,
                                                          const char *text, size_t size,
                                                          const tuff_importance_params *params,
                                                          tuff_importance **out_importance);
TUFF_API void tuff_importance_destroy(tuff_importance **importance);

#ifdef __cplusplus
}
#endif
#endif
