/* Programs whose outputs are a model's logits, its loss and the gradients of all that is trained. */
#ifndef TUFF_TESTS_GRADIENTS_H
#define TUFF_TESTS_GRADIENTS_H

#include "base/memory.h"
#include "kit/truth.h"
#include "train/lm.h"

/* Takes the graph. Gradients are called as what they are of. */
static inline tuff_program *gradient_program(tuff_graph **graph, const tuff_lm *lm, tuff_tensor *logits,
                                             tuff_tensor *loss, tuff_store *store)
{
    size_t count = tuff_lm_trained_count(lm);
    tuff_tensor **params = tuff_alloc_array(count, sizeof *params),
                **grads = tuff_alloc_array(count, sizeof *grads);
    for (size_t i = 0; i < count; i++)
        params[i] = tuff_graph_leaf(*graph, tuff_lm_trained(lm, i).name);
    tuff_graph_grad(*graph, loss, params, count, grads);
    for (size_t i = 0; i < count; i++)
        tuff_output(*graph, tuff_lm_trained(lm, i).name, grads[i]);
    tuff_output(*graph, "logits", logits);
    tuff_output(*graph, "loss", loss);
    tuff_free(params);
    tuff_free(grads);
    tuff_program *program = NULL;
    KIT_OK(tuff_program_create(device, graph, &program));
    KIT_OK(tuff_store_bind(store, program));
    return program;
}

#endif
