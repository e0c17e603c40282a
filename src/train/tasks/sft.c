/* Conversations, of which the model learns the answers: supervised fine-tuning. An example is a conversation,
 * or several that share a row of tokens without seeing each other. */
#include <string.h>

#include "base/memory.h"
#include "packed/batch.h"
#include "train/examples.h"
#include "train/tasks/causal_lm.h"
#include "train/tasks/sft.h"
#include "train/trainer.h"

/* ---- data */

static void hash(const tuff_dataset *data, tuff_sha256 *out)
{
    const tuff_sft *own = data->own;
    tuff_sha256_update(out, own->learned.data, (size_t)data->tokens);
    if (!own->rows) return;
    tuff_sha256_update(out, own->rows, (size_t)(own->row_count + 1) * sizeof *own->rows);
    tuff_sha256_update(out, own->members, (size_t)data->sequences * sizeof *own->members);
}

static tuff_status check(const tuff_dataset *data, const tuff_model *model)
{
    TUFF_TRY(tuff_model_need_lm(model));
    return tuff_examples_check(data, model);
}

static int64_t count(const tuff_dataset *data, bool training)
{
    const tuff_sft *own = data->own;
    (void)training;
    return own->rows ? own->row_count : data->sequences;
}

/* ---- batches */

/* What of a sequence is to be found: of its first token only behind virtual ones. */
typedef struct answers {
    const int32_t *ids;
    const uint8_t *learned;
    int64_t length, first;
} answers;

static answers answers_of(const tuff_batch *batch, uint32_t sequence)
{
    const tuff_sft *own = batch->data->own;
    const int64_t begin = batch->data->starts[sequence];
    return (answers){.ids = batch->data->ids + begin,
                     .learned = (const uint8_t *)own->learned.data + begin,
                     .length = tuff_dataset_length(batch->data, sequence),
                     .first = batch->virtual_tokens ? 0 : 1};
}

/* Of its tokens quarters: few batches of a data set need programs of their own. */
static int64_t row_capacity(int64_t tokens, int64_t labels)
{
    const int64_t quarter = (tokens + 3) / 4;
    const int64_t rows = labels ? (labels + quarter - 1) / quarter * quarter : quarter;
    return rows < tokens ? rows : tokens;
}

static void size(const tuff_batch *batch, tuff_task_shape *out_shape, int64_t *out_labels)
{
    const tuff_sft *own = batch->data->own;
    int64_t tokens = 0, labels = 0, n;
    for (int64_t i = 0; i < batch->count; i++) {
        const uint32_t *members = tuff_sft_members(batch->data, &batch->examples[i], &n);
        for (int64_t m = 0; m < n; m++) {
            const answers a = answers_of(batch, members[m]);
            tokens += a.length;
            for (int64_t k = a.first; k < a.length; k++)
                labels += a.learned[k];
        }
    }
    *out_labels = labels;
    *out_shape = (tuff_task_shape){.tokens = tuff_packed_token_capacity(tokens),
                                   .sequences = batch->most * (own->rows ? own->row_most : 1)};
    out_shape->rows = row_capacity(out_shape->tokens, labels);
}

static tuff_status fill(const tuff_batch *batch, const tuff_task_shape *shape, const tuff_config *config,
                        tuff_pack *pack, tuff_program *program)
{
    TUFF_TRY(tuff_pack_begin(pack, config, shape, 2 * shape->rows));
    int32_t *picked = pack->own, *labels = picked + shape->rows;
    int64_t found = 0, n;
    for (int64_t i = 0; i < batch->count; i++) {
        const uint32_t *members = tuff_sft_members(batch->data, &batch->examples[i], &n);
        for (int64_t m = 0; m < n; m++) {
            const answers a = answers_of(batch, members[m]);
            const int64_t at = tuff_pack_add(pack, a.ids, NULL, a.length);
            for (int64_t k = a.first; k < a.length; k++) {
                if (!a.learned[k]) continue;
                picked[found] = (int32_t)(at + k - 1);
                labels[found++] = a.ids[k];
            }
        }
    }
    TUFF_TRY(tuff_causal_lm_set_balance(program, found));
    for (; found < shape->rows; found++)
        labels[found] = TUFF_NO_LABEL;
    TUFF_TRY(tuff_pack_set(pack, program));
    TUFF_TRY(tuff_pack_set_picked(pack, program, "picked", picked, shape->rows));
    return tuff_program_input(program, "labels", labels, (size_t)shape->rows * sizeof *labels);
}

static tuff_tensor *loss(const tuff_task_graph *at, tuff_net *net)
{
    const bool gradient = at->use == TUFF_TASK_TRAIN;
    net->balance = gradient;
    tuff_net_begin(net);
    tuff_tensor *x = tuff_net_pick(net, tuff_net_hidden(net), at->shape.rows, gradient);
    tuff_tensor *logits = tuff_net_head(net, x);
    if (at->use == TUFF_TASK_MEASURE) tuff_output(net->g, "best", tuff_argmax(net->g, logits));
    tuff_tensor *sum = tuff_task_cross_entropy(at, net->g, logits,
                                               tuff_input(net->g, "labels", TUFF_I32, 1, &at->shape.rows));
    return tuff_causal_lm_balanced(at, net, sum);
}

/* ---- measurement: how many tokens there are to be found, and how many are the most probable ones */

static tuff_status observe(tuff_meter *meter, const tuff_batch *batch, const tuff_task_shape *shape,
                           tuff_program *program)
{
    int64_t labels = 0, right = 0, n;
    int32_t *best = NULL;
    TUFF_TRY(tuff_meter_output(meter, program, "best", (size_t)shape->rows, &best));
    for (int64_t i = 0; i < batch->count; i++) {
        const uint32_t *members = tuff_sft_members(batch->data, &batch->examples[i], &n);
        for (int64_t m = 0; m < n; m++) {
            const answers a = answers_of(batch, members[m]);
            for (int64_t k = a.first; k < a.length; k++) {
                if (!a.learned[k]) continue;
                right += best[labels++] == a.ids[k];
            }
        }
    }
    return tuff_meter_count(meter, labels, right);
}

/* The last sequence that begins at a token or before it. */
static int64_t sequence_at(const tuff_dataset *data, int64_t token)
{
    int64_t least = 0, most = data->sequences - 1;
    while (least < most) {
        const int64_t middle = (least + most + 1) / 2;
        if (data->starts[middle] <= token)
            least = middle;
        else
            most = middle - 1;
    }
    return least;
}

/* The tokens from `at` on that are learned or not. */
static int64_t span_end(const tuff_dataset *data, int64_t at, int64_t end, bool learned)
{
    const uint8_t *marks = ((const tuff_sft *)data->own)->learned.data;
    while (at < end && (marks[at] != 0) == learned)
        at++;
    return at;
}

/* Each answer, behind what stands before it. */
static tuff_status ask(const tuff_dataset *data, tuff_asked *q, bool *out_there)
{
    const tuff_sft *own = data->own;
    *out_there = false;
    if (own->learn_all)
        return tuff_fail(
            TUFF_INVALID_ARGUMENT,
            "where prompts are learned too, nobody knows where answers begin, which the model is "
            "to give by itself: measure it with data whose answers alone are learned");
    for (int64_t i = sequence_at(data, q->next); i < data->sequences; i++) {
        const int64_t first = data->starts[i], end = data->starts[i + 1];
        const int64_t asked = span_end(data, first, end, true); /* an answer without a beginning; a text */
        const int64_t from = q->next > asked ? q->next : asked;
        const int64_t begin = span_end(data, from, end, false), stop = span_end(data, begin, end, true);
        if (begin >= end) continue;
        *q = (tuff_asked){.ids = data->ids + first,
                          .count = (size_t)(begin - first),
                          .answer = data->ids + begin,
                          .answer_count = (size_t)(stop - begin),
                          .next = stop};
        *out_there = true;
        break;
    }
    return TUFF_OK;
}

/* ---- what people are told */

static void describe(const tuff_dataset *data, tuff_data_report *out)
{
    const tuff_sft *own = data->own;
    const uint8_t *learned = own->learned.data;
    out->format = own->format ? tuff_conversation_format_name(own->format) : ""; /* texts alone */
    out->chat_template = own->plain ? "" : tuff_conversation_source_name(own->source);
    out->shared = own->shared;
    out->rows = own->rows ? own->row_count : 0;
    for (int64_t i = 0; i < data->sequences; i++)
        for (int64_t k = data->starts[i] + 1; k < data->starts[i + 1]; k++)
            out->labels += learned[k];
}

const tuff_task tuff_task_sft = {.name = "sft",
                                 .title = "learning answers in conversations",
                                 .head = &tuff_head_lm,
                                 .perplexity = true,
                                 .load = tuff_sft_load,
                                 .keep = tuff_sft_keep,
                                 .join = tuff_sft_join,
                                 .hash = hash,
                                 .release = tuff_sft_release,
                                 .check = check,
                                 .count = count,
                                 .size = size,
                                 .fill = fill,
                                 .loss = loss,
                                 .smooths = tuff_task_smooths,
                                 .observe = observe,
                                 .report = tuff_meter_accuracy,
                                 .ask = ask,
                                 .describe = describe};
