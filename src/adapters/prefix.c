/* Prefix tuning (Li and Liang 2021): keys and values that stand before each sequence's own in every layer. As
 * in PEFT they are not turned by rotary positions, and texts begin at the position behind them. They take the
 * places of virtual tokens' keys and values, so that batches and caches have room for them. What the places
 * compute otherwise nobody reads. */
#include <math.h>
#include <string.h>

#include "adapters/virtual.h"
#include "base/memory.h"
#include "base/rng.h"
#include "models/model.h"

#define TENSOR "prompt_embeddings"
/* Of what the rows are computed while they are trained (prefix_projection): PEFT's modules. Files have these
 * beside the rows, which PEFT reads, so that a training can go on. */
#define ENCODER "prompt_encoder."
enum { TABLE, WEIGHT1, BIAS1, WEIGHT2, BIAS2, PARTS };
static const char *const part_names[PARTS] = {ENCODER "embedding.weight", ENCODER "transform.0.weight",
                                              ENCODER "transform.0.bias", ENCODER "transform.2.weight",
                                              ENCODER "transform.2.bias"};

typedef struct prefix {
    int64_t dim, hidden;     /* of a layer's keys; of the encoder, 0: there is none */
    const tuff_weight *rows; /* in files that have the encoder too */
    uint64_t seed;
} prefix;

static int64_t columns_of(const tuff_adapter *a)
{
    return a->model->config.layers * 2 * ((const prefix *)a->own)->dim;
}

static tuff_status begin(tuff_adapter *a, prefix **out)
{
    const tuff_config *c = &a->model->config;
    if (c->encoder)
        return tuff_fail(TUFF_UNSUPPORTED,
                         "%s: prefix tuning of encoder-decoders is not done; take LoRA or IA3",
                         a->model->path);
    TUFF_TRY(tuff_model_need_lm(a->model));
    prefix *own = a->own = *out = tuff_arena_alloc(&a->arena, sizeof *own);
    if (!own) return tuff_fail_memory("an adapter");
    own->dim = c->kv_heads * c->head_dim;
    a->silent = true;
    return TUFF_OK;
}

/* The encoder's tensors, new or from files. */
static tuff_status add_encoder(tuff_adapter *a, int64_t tokens)
{
    const prefix *own = a->own;
    const int64_t shapes[PARTS][2] = {{tokens, own->dim},
                                      {own->hidden, own->dim},
                                      {own->hidden, 0},
                                      {columns_of(a), own->hidden},
                                      {columns_of(a), 0}};
    for (int i = 0; i < PARTS; i++) {
        const tuff_weight *weight = NULL;
        if (a->files)
            TUFF_TRY(tuff_weights_require(a->files->weights, part_names[i], shapes[i][1] ? 2 : 1, shapes[i],
                                          &weight));
        TUFF_TRY(tuff_adapter_add(a, part_names[i], shapes[i][0], shapes[i][1], weight));
    }
    a->derived[a->derived_count++] = (tuff_adapter_derived){TENSOR, {tokens, columns_of(a)}};
    return TUFF_OK;
}

static tuff_status create(tuff_adapter *a, const tuff_adapter_settings *s)
{
    prefix *own = NULL;
    TUFF_TRY(begin(a, &own));
    TUFF_TRY(tuff_virtual_check(a, s->virtual_tokens, "num_virtual_tokens"));
    own->seed = s->seed;
    a->virtual_tokens = s->virtual_tokens;
    if (!s->prefix_projection) return tuff_adapter_add(a, TENSOR, s->virtual_tokens, columns_of(a), NULL);
    own->hidden = s->encoder_hidden ? s->encoder_hidden : own->dim;
    if (own->hidden < 1 || own->hidden > 1 << 20)
        return tuff_fail(TUFF_INVALID_ARGUMENT, "encoder_hidden_size is %lld, expected 1 to %d",
                         (long long)own->hidden, 1 << 20);
    return add_encoder(a, s->virtual_tokens);
}

/* Sizes that a config may have, which are the model's. */
static tuff_status check_config(const tuff_adapter *a)
{
    const tuff_config *c = &a->model->config;
    const cJSON *json = a->files->config;
    const char *file = a->files->config_path;
    const struct {
        const char *key;
        int64_t expected;
    } sizes[] = {{"num_transformer_submodules", 1},
                 {"num_layers", c->layers},
                 {"token_dim", ((const prefix *)a->own)->dim},
                 {"num_attention_heads", c->kv_heads}};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        int64_t found = sizes[i].expected;
        const cJSON *item = cJSON_GetObjectItemCaseSensitive(json, sizes[i].key);
        if (!item || cJSON_IsNull(item)) continue;
        TUFF_TRY(tuff_json_int(json, sizes[i].key, file, &found));
        if (found != sizes[i].expected)
            return tuff_fail(
                TUFF_UNSUPPORTED,
                "%s: '%s' is %lld, of the model it is %lld; keys and values must be as it has them", file,
                sizes[i].key, (long long)found, (long long)sizes[i].expected);
    }
    return TUFF_OK;
}

static tuff_status open(tuff_adapter *a)
{
    prefix *own = NULL;
    const tuff_weight *rows = NULL;
    int64_t tokens;
    TUFF_TRY(begin(a, &own));
    TUFF_TRY(tuff_virtual_read(a, &tokens));
    TUFF_TRY(check_config(a));
    const int64_t shape[] = {tokens, columns_of(a)};
    TUFF_TRY(tuff_weights_require(a->files->weights, TENSOR, 2, shape, &rows));
    a->virtual_tokens = tokens;
    const tuff_weight *first = tuff_weights_find(a->files->weights, part_names[BIAS1]);
    if (!first) return tuff_adapter_add(a, TENSOR, tokens, columns_of(a), rows);
    if (first->rank != 1 || first->shape[0] < 1)
        return tuff_fail(TUFF_BAD_FORMAT,
                         "%s: tensor '%s' is no vector of at least one number: its length is the "
                         "size of the encoder",
                         first->file, first->name);
    TUFF_TRY(tuff_weight_check_finite(rows));
    own->rows = rows;
    own->hidden = first->shape[0];
    TUFF_TRY(tuff_adapter_add_fixed(a, "prefix.rows", tokens * columns_of(a), 0));
    return add_encoder(a, tokens);
}

/* ---- in graphs */

/* x [.., in] w^T + b of the encoder. */
static tuff_tensor *layer(const tuff_adapter *a, tuff_net *net, tuff_tensor *x, int weight)
{
    tuff_graph *g = net->g;
    tuff_tensor *w = tuff_adapter_variable(a, net, (size_t)weight),
                *b = tuff_adapter_variable(a, net, (size_t)weight + 1);
    return tuff_add(g, tuff_matmul(g, x, tuff_transpose(g, w)), b);
}

/* Keys and values of all layers [tokens, columns], once for a graph. */
static tuff_tensor *rows_of(tuff_adapter *a, tuff_net *net)
{
    const prefix *own = a->own;
    tuff_graph *g = net->g;
    if (!own->hidden) return tuff_adapter_variable(a, net, 0);
    if (own->rows && !a->training)
        return tuff_reshape(g, tuff_adapter_fixed(a, net, 0), 2,
                            (int64_t[]){a->virtual_tokens, columns_of(a)});
    tuff_tensor *x = tuff_tanh(g, layer(a, net, tuff_adapter_variable(a, net, TABLE), WEIGHT1));
    return layer(a, net, x, WEIGHT2);
}

/* Rows of x [N, Hkv, D] or, where tokens are virtual, of the prefix, which has them in these columns. */
static tuff_tensor *mix(tuff_graph *g, tuff_tensor *x, tuff_tensor *prefix_rows, int64_t column,
                        tuff_tensor *rows)
{
    const int64_t shape[] = {tuff_tensor_dim(x, 0), tuff_tensor_dim(x, 1), tuff_tensor_dim(x, 2)},
                  n = shape[1] * shape[2];
    tuff_tensor *own = tuff_slice(g, prefix_rows, 1, column, n),
                *all = tuff_concat(g, (tuff_tensor *[]){tuff_reshape(g, x, 2, (int64_t[]){shape[0], n}), own},
                                   2, 0);
    return tuff_reshape(g, tuff_gather_rows(g, all, rows), 3, shape);
}

static void keys(void *self, tuff_net *net, int at, tuff_tensor **k, tuff_tensor **v)
{
    tuff_adapter *a = self;
    const int64_t dim = ((const prefix *)a->own)->dim;
    tuff_tensor *rows = tuff_graph_leaf(net->g, "embedding_rows");
    if (!rows) rows = tuff_input(net->g, "embedding_rows", TUFF_I32, 1, &net->tokens);
    if (at == 0) net->prefix = rows_of(a, net);
    *k = mix(net->g, *k, net->prefix, 2 * at * dim, rows);
    *v = mix(net->g, *v, net->prefix, (2 * at + 1) * dim, rows);
}

/* ---- values */

/* PEFT's: tables are drawn from a standard normal, layers uniformly within 1 / sqrt(in). */
static tuff_status start(const tuff_adapter *a, size_t index, float *values)
{
    const prefix *own = a->own;
    const int64_t *shape = a->tensors[index].shape, n = shape[0] * shape[1];
    const double bound = 1 / sqrt((double)(index >= WEIGHT2 ? own->hidden : own->dim));
    const uint32_t stream = TUFF_STREAM_INIT + (uint32_t)index;
    for (int64_t k = 0; k < n; k++)
        values[k] =
            (float)(index == TABLE ? tuff_rng_normal(own->seed, (uint64_t)k, 0, stream)
                                   : bound * (2 * tuff_rng_uniform(own->seed, (uint64_t)k, 0, stream) - 1));
    return TUFF_OK;
}

static tuff_status fill(const tuff_adapter *a, size_t index, float *values)
{
    (void)index;
    return tuff_weight_read(((const prefix *)a->own)->rows, TUFF_F32, values);
}

/* x [n] w^T + b into out [rows]. */
static void transform(const float *w, const float *b, int64_t rows, int64_t n, const double *x, double *out)
{
    for (int64_t r = 0; r < rows; r++) {
        out[r] = b[r];
        for (int64_t k = 0; k < n; k++)
            out[r] += (double)w[r * n + k] * x[k];
    }
}

/* What the encoder gives. */
static tuff_status derive(const tuff_adapter *a, const tuff_store *store, size_t index, float *values)
{
    const prefix *own = a->own;
    float *parts[PARTS] = {NULL};
    (void)index;
    const int64_t columns = columns_of(a);
    double *work = tuff_alloc_array((size_t)(own->dim + own->hidden + columns), sizeof *work);
    double *hidden = work + own->dim, *out = hidden + own->hidden;
    tuff_status status = work ? TUFF_OK : tuff_fail_memory("a prefix");
    for (size_t i = 0; i < PARTS && status == TUFF_OK; i++) {
        const int64_t *shape = a->tensors[i].shape;
        parts[i] = tuff_alloc_array((size_t)(shape[0] * shape[1]), sizeof(float));
        status = parts[i] ? tuff_adapter_values(a, store, i, parts[i]) : tuff_fail_memory("a prefix");
    }
    for (int64_t t = 0; t < a->virtual_tokens && status == TUFF_OK; t++) {
        for (int64_t k = 0; k < own->dim; k++)
            work[k] = parts[TABLE][t * own->dim + k];
        transform(parts[WEIGHT1], parts[BIAS1], own->hidden, own->dim, work, hidden);
        for (int64_t k = 0; k < own->hidden; k++)
            hidden[k] = tanh(hidden[k]);
        transform(parts[WEIGHT2], parts[BIAS2], columns, own->hidden, hidden, out);
        for (int64_t k = 0; k < columns; k++)
            values[t * columns + k] = (float)out[k];
    }
    for (size_t i = 0; i < PARTS; i++)
        tuff_free(parts[i]);
    tuff_free(work);
    return status;
}

static tuff_status describe(const tuff_adapter *a, const tuff_adapter_card *card, tuff_buf *out)
{
    const prefix *own = a->own;
    tuff_peft_put_begin(out);
    tuff_peft_put_text(out, "auto_mapping", NULL);
    tuff_peft_put_text(out, "base_model_name_or_path", card->base);
    tuff_peft_put_number(out, "encoder_hidden_size", (double)(own->hidden ? own->hidden : own->dim));
    tuff_virtual_put(a, card, a->model->config.kv_heads, out);
    tuff_peft_put_bool(out, "prefix_projection", own->hidden != 0);
    tuff_peft_put_text(out, "revision", NULL);
    tuff_peft_put_text(out, "task_type", card->task_type);
    tuff_peft_put_number(out, "token_dim", (double)own->dim);
    tuff_peft_put_end(out);
    return TUFF_OK;
}

const tuff_method tuff_method_prefix = {.peft_type = "PREFIX_TUNING",
                                        .title = "prefix tuning",
                                        .whole_prefix = TUFF_PEFT_BARE_PREFIX,
                                        .points = {.keys = keys},
                                        .create = create,
                                        .open = open,
                                        .start = start,
                                        .fill = fill,
                                        .derive = derive,
                                        .describe = describe};
