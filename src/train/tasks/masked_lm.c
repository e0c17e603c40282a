/* Masked language modelling (Devlin et al. 2018): of 15 % of a text's tokens the model is to find which they
 * were. Of those 80 % are hidden, 10 % replaced by any other, 10 % left. Which is a function of the seed, the
 * example's number and the token's place. */
#include <string.h>

#include "base/memory.h"
#include "base/rng.h"
#include "train/examples.h"

typedef struct masking {
    double probability;
    int32_t mask, words; /* the mask's id; how many ids there are */
    bool *special;       /* [words]: never hidden */
} masking;

/* ---- data */

static void release(tuff_dataset *data)
{
    masking *m = data->own;
    if (m) tuff_free(m->special);
    tuff_free(m);
}

static void hash(const tuff_dataset *data, tuff_sha256 *out)
{
    const masking *m = data->own;
    tuff_sha256_update(out, &m->probability, sizeof m->probability);
}

static tuff_status begin(masking *m, const tuff_model *model, const tuff_data_params *params)
{
    const tuff_tokenizer *tokenizer;
    TUFF_TRY(tuff_model_get_tokenizer(model, &tokenizer));
    m->probability = params->mlm_probability;
    m->mask = tuff_tokenizer_mask(tokenizer);
    m->words = (int32_t)tuff_tokenizer_vocab_size(tokenizer);
    if (m->mask < 0)
        return tuff_fail(TUFF_UNSUPPORTED, "%s: its tokenizer has no token that hides a word (\"[MASK]\")",
                         model->path);
    if (!(m->probability > 0 && m->probability <= 1))
        return tuff_fail(TUFF_INVALID_ARGUMENT, "mlm_probability is %g, expected more than 0 and at most 1",
                         m->probability);
    m->special = tuff_alloc_array((size_t)m->words, sizeof *m->special);
    if (!m->special) return tuff_fail_memory("a data set");
    for (int32_t id = 0; id < m->words; id++) {
        tuff_token_type type = tuff_tokenizer_token_type(tokenizer, id);
        m->special[id] = type == TUFF_TOKEN_CONTROL || type == TUFF_TOKEN_UNKNOWN;
    }
    return TUFF_OK;
}

static bool is_blank(tuff_view text)
{
    for (size_t i = 0; i < text.size; i++)
        if (!memchr(" \t\r\n", text.data[i], 4)) return false;
    return true;
}

static tuff_status prepare(const tuff_example_reader *r, const void *own, const tuff_watch *watch,
                           tuff_example_item *item)
{
    const tuff_view none = {0};
    (void)own;
    (void)watch;
    return is_blank(item->values[0]) ? TUFF_OK : tuff_example_item_text(r, item, item->values[0], none);
}

static tuff_status take(tuff_example_reader *r, void *own)
{
    (void)own;
    return is_blank(r->values[0]) ? TUFF_OK : tuff_example_reader_add(r);
}

static tuff_status load(const tuff_model *model, const char *path, const tuff_data_params *params,
                        tuff_dataset *data)
{
    masking *m = data->own = tuff_alloc(sizeof *m);
    if (!m) return tuff_fail_memory("a data set");
    const char *fields[] = {params->text_field ? params->text_field : "text"};
    tuff_example_reader r;
    TUFF_TRY(begin(m, model, params));
    tuff_status status = tuff_example_reader_open(&r, model, path, params, fields, 1, data);
    if (status == TUFF_OK) status = tuff_example_reader_run(&r, &(tuff_example_work){prepare, take}, NULL);
    tuff_example_reader_close(&r);
    return status;
}

static tuff_status join(tuff_dataset *into, const tuff_dataset *part)
{
    const masking *from = part->own;
    masking *m = into->own;
    if (m && (m->words != from->words || m->probability != from->probability))
        return tuff_fail(
            TUFF_INVALID_ARGUMENT,
            "it is of another vocabulary, or of another probability of hidden tokens, than parts "
            "before it");
    if (m) return TUFF_OK;
    into->own = m = tuff_alloc(sizeof *m);
    if (!m) return tuff_fail_memory("a mixture");
    *m = *from;
    m->special = tuff_alloc_array((size_t)m->words, sizeof *m->special);
    if (!m->special) return tuff_fail_memory("a mixture");
    memcpy(m->special, from->special, (size_t)m->words * sizeof *m->special);
    return TUFF_OK;
}

/* ---- batches */

/* What becomes of a token; false: it is none that is to be found. */
static bool hide(const masking *m, uint64_t seed, uint64_t example, uint32_t place, int32_t *id)
{
    if (*id < m->words && m->special[*id]) return false;
    const tuff_philox drawn = tuff_philox4x32(seed, example, place, TUFF_STREAM_MASK);
    if (drawn.v[0] >= m->probability * 4294967296.0) return false;
    double way = drawn.v[1] / 4294967296.0;
    if (way < 0.8)
        *id = m->mask;
    else if (way < 0.9)
        *id = (int32_t)((uint64_t)drawn.v[2] * (uint64_t)m->words >> 32);
    return true;
}

/* The tokens of a batch that are to be found, and where they stand once packed: labels and picked have room
 * for all, or are NULL. Ids are those that the model sees. */
static int64_t find(const tuff_batch *batch, int32_t *ids, int32_t *picked, int32_t *labels)
{
    const tuff_dataset *data = batch->data;
    int64_t at = 0, found = 0;
    for (int64_t i = 0; i < batch->count; i++) {
        const int32_t *own = data->ids + data->starts[batch->examples[i]];
        for (int64_t k = 0; k < tuff_dataset_length(data, batch->examples[i]); k++, at++) {
            int32_t id = own[k];
            if (!hide(data->own, batch->seed, batch->first + (uint64_t)i, (uint32_t)k, &id)) continue;
            if (ids) {
                ids[at] = id;
                picked[found] = (int32_t)at;
                labels[found] = own[k];
            }
            found++;
        }
    }
    return found;
}

/* Few batches have more to be found than a quarter above what is expected; those get a program of their own.
 */
static int64_t row_capacity(const tuff_batch *batch, int64_t tokens, int64_t found)
{
    const masking *m = batch->data->own;
    int64_t rows = (int64_t)(1.25 * m->probability * (double)tokens) + 16;
    while (rows < found)
        rows += rows / 2;
    return rows < tokens ? rows : tokens;
}

static void size(const tuff_batch *batch, tuff_task_shape *out_shape, int64_t *out_labels)
{
    *out_labels = find(batch, NULL, NULL, NULL);
    tuff_examples_shape(batch, out_shape);
    out_shape->rows = row_capacity(batch, out_shape->tokens, *out_labels);
}

static tuff_status fill(const tuff_batch *batch, const tuff_task_shape *shape, const tuff_config *config,
                        tuff_pack *pack, tuff_program *program)
{
    size_t bytes = (size_t)shape->rows * sizeof *pack->own;
    TUFF_TRY(tuff_pack_begin(pack, config, shape, 2 * shape->rows));
    int32_t *picked = pack->own, *labels = picked + shape->rows;
    for (int64_t i = 0, first, length; i < batch->count; i++)
        tuff_examples_pack(batch, pack, i, &first, &length);
    for (int64_t found = find(batch, pack->ids, picked, labels); found < shape->rows; found++)
        labels[found] = TUFF_NO_LABEL;
    TUFF_TRY(tuff_pack_set(pack, program));
    TUFF_TRY(tuff_pack_set_picked(pack, program, "picked", picked, shape->rows));
    return tuff_program_input(program, "labels", labels, bytes);
}

static tuff_tensor *loss(const tuff_task_graph *at, tuff_net *net)
{
    tuff_net_begin(net);
    bool gradient = at->use == TUFF_TASK_TRAIN;
    tuff_tensor *x = tuff_net_pick(net, tuff_net_hidden(net), at->shape.rows, gradient);
    return tuff_task_cross_entropy(at, net->g, tuff_net_head(net, x),
                                   tuff_input(net->g, "labels", TUFF_I32, 1, &at->shape.rows));
}

const tuff_task tuff_task_masked_lm = {.name = "mlm",
                                       .title = "masked language modelling",
                                       .head = &tuff_head_mlm,
                                       .perplexity = true,
                                       .load = load,
                                       .keep = tuff_examples_keep,
                                       .join = join,
                                       .release = release,
                                       .hash = hash,
                                       .check = tuff_examples_check,
                                       .count = tuff_examples_count,
                                       .size = size,
                                       .fill = fill,
                                       .loss = loss,
                                       .smooths = tuff_task_smooths};
