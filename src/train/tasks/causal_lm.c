/* Causal language modelling: blocks of a text; of each, every token but the first is predicted. */
#include <string.h>

#include "runtime/program.h"
#include "train/examples.h"
#include "train/tasks/causal_lm.h"

static tuff_status check(const tuff_dataset *data, const tuff_model *model)
{
    const tuff_config *c = &model->config;
    TUFF_TRY(tuff_model_need_lm(model));
    if (c->learned_positions && data->block_size > c->max_positions)
        return tuff_fail(TUFF_INVALID_ARGUMENT,
                         "the block size is %lld, but the model has only %lld positions; use a smaller one",
                         (long long)data->block_size, (long long)c->max_positions);
    int32_t largest = tuff_dataset_largest(data);
    if (largest >= c->vocab_size)
        return tuff_fail(TUFF_INVALID_ARGUMENT, "the text has token id %d, the model's vocabulary only %lld",
                         largest, (long long)c->vocab_size);
    return TUFF_OK;
}

/* A training leaves out a last block that is not full. */
static int64_t count(const tuff_dataset *data, bool training)
{
    const int64_t block = data->block_size, stride = data->block_stride, behind = data->tokens - block;
    if (behind <= 0) return behind == 0 || !training;
    return 1 + (behind + (training ? 0 : stride - 1)) / stride;
}

/* Tokens of a block. */
static int64_t length(const tuff_dataset *data, uint32_t block)
{
    int64_t left = data->tokens - tuff_dataset_block_begin(data, block);
    return left < data->block_size ? left : data->block_size;
}

static void size(const tuff_batch *batch, tuff_task_shape *out_shape, int64_t *out_labels)
{
    const tuff_dataset *data = batch->data;
    *out_shape = (tuff_task_shape){.tokens = batch->most * data->block_size, .sequences = batch->most};
    *out_labels = 0;
    for (int64_t i = 0; i < batch->count; i++)
        *out_labels += length(data, batch->examples[i]) - (batch->virtual_tokens && !batch->silent ? 0 : 1);
}

tuff_status tuff_causal_lm_set_balance(tuff_program *program, int64_t labels)
{
    const float count = (float)labels;
    if (!tuff_program_has_input(program, "balance.labels")) return TUFF_OK;
    return tuff_program_input(program, "balance.labels", &count, sizeof count);
}

static tuff_status fill(const tuff_batch *batch, const tuff_task_shape *shape, const tuff_config *config,
                        tuff_pack *pack, tuff_program *program)
{
    const tuff_dataset *data = batch->data;
    TUFF_TRY(tuff_pack_begin(pack, config, shape, shape->tokens));
    int32_t *labels = pack->own;
    for (int64_t i = 0; i < shape->tokens; i++)
        labels[i] = TUFF_NO_LABEL;
    for (int64_t i = 0; i < batch->count; i++) {
        uint32_t block = batch->examples[i];
        const int32_t *ids = data->ids + tuff_dataset_block_begin(data, block);
        int64_t n = length(data, block), at = tuff_pack_add(pack, ids, NULL, n);
        memcpy(labels + at, ids + 1, (size_t)(n - 1) * sizeof *ids);
        /* as PEFT has it: the last of them predicts it */
        if (pack->virtual_tokens && !batch->silent) labels[at - 1] = ids[0];
    }
    TUFF_TRY(tuff_pack_set(pack, program));
    int64_t count = 0;
    for (int64_t i = 0; i < shape->tokens; i++)
        count += labels[i] != TUFF_NO_LABEL;
    TUFF_TRY(tuff_causal_lm_set_balance(program, count));
    return tuff_program_input(program, "labels", labels, (size_t)shape->tokens * sizeof *labels);
}

tuff_tensor *tuff_causal_lm_balanced(const tuff_task_graph *at, tuff_net *net, tuff_tensor *sum)
{
    /* the sum is divided by the labels; a batch's routers count as much as they do */
    tuff_tensor *balance = at->use == TUFF_TASK_TRAIN ? tuff_net_balance(net) : NULL;
    if (!balance) return sum;
    return tuff_add(net->g, sum,
                    tuff_mul(net->g, balance, tuff_input(net->g, "balance.labels", TUFF_F32, 0, NULL)));
}

static tuff_tensor *loss(const tuff_task_graph *at, tuff_net *net)
{
    tuff_graph *g = net->g;
    net->balance = at->use == TUFF_TASK_TRAIN;
    tuff_net_begin(net);
    tuff_tensor *logits = tuff_net_logits(net, tuff_net_hidden(net), false);
    if (at->use == TUFF_TASK_LOGITS) {
        tuff_output(g, "logits", logits);
        return NULL;
    }
    tuff_tensor *sum =
        tuff_task_cross_entropy(at, g, logits, tuff_input(g, "labels", TUFF_I32, 1, &at->shape.tokens));
    return tuff_causal_lm_balanced(at, net, sum);
}

const tuff_task tuff_task_causal_lm = {.name = "causal-lm",
                                       .title = "causal language modelling",
                                       .head = &tuff_head_lm,
                                       .perplexity = true,
                                       .keep = tuff_examples_keep,
                                       .check = check,
                                       .count = count,
                                       .size = size,
                                       .fill = fill,
                                       .loss = loss,
                                       .smooths = tuff_task_smooths};
