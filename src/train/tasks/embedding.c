/* Training of embeddings: texts become vectors as the embedder makes them, and a loss compares these. Where
 * gradients are cached (Gao et al. 2021) a batch runs in passes: all vectors, some texts at a time; the loss,
 * and its gradient with respect to the vectors; the texts again, each with the gradient of its vector. */
#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "runtime/program.h"
#include "train/metrics.h"
#include "train/task.h"
#include "train/tasks/embedding.h"
#include "train/trainer.h"

enum { WHOLE, VECTORS, COMPARE, BACK }; /* passes; WHOLE where nothing is cached */

static tuff_vector_loss loss_of(const tuff_embedding_data *own, int64_t rows)
{
    return tuff_vector_loss_of(own->loss, rows, own->columns);
}

tuff_status tuff_embedding_check(const tuff_dataset *data, const tuff_model *model)
{
    const tuff_embedding_data *own = tuff_embedding_data_of(data);
    const int64_t most = tuff_longest_sequence(model);
    const tuff_config *read_for = &own->settings->model->config, *c = &model->config;
    if (c->arch != read_for->arch || c->vocab_size != read_for->vocab_size ||
        c->hidden_size != read_for->hidden_size)
        return tuff_fail(TUFF_INVALID_ARGUMENT,
                         "the pairs were read for another model than the one that is trained");
    for (int64_t i = 0; i < data->sequences; i++)
        if (tuff_dataset_length(data, (uint32_t)i) > most)
            return tuff_fail(TUFF_INVALID_ARGUMENT,
                             "a text has %lld tokens, but the model only %lld positions",
                             (long long)tuff_dataset_length(data, (uint32_t)i), (long long)most);
    return TUFF_OK;
}

static tuff_status check_batch(const tuff_dataset *data, int64_t examples)
{
    const tuff_embedding_data *own = tuff_embedding_data_of(data);
    if (own->loss == TUFF_VECTOR_LOSS_RANKING && examples < 2 && own->columns == 2)
        return tuff_fail(
            TUFF_INVALID_ARGUMENT,
            "the loss mnrl tells a pair's texts from those of the batch's other pairs, and a batch of one has "
            "no others; expected a batch of at least 2, or a column of negatives");
    return TUFF_OK;
}

static bool compares(const tuff_dataset *data)
{
    (void)data;
    return true;
}

static int64_t count(const tuff_dataset *data, bool training)
{
    (void)training;
    return tuff_embedding_rows(data);
}

static int64_t sequences(const tuff_dataset *data)
{
    return tuff_embedding_data_of(data)->columns;
}

/* ---- batches ---- */

/* Text number `at` of a batch: column by column. */
static const int32_t *text_of(const tuff_batch *batch, int64_t at, int64_t *out_count)
{
    return tuff_embedding_text(batch->data, batch->examples[at % batch->count], at / batch->count, out_count);
}

/* The shape of a run with texts first to first + n of the batch. */
static tuff_task_shape shape_of(const tuff_batch *batch, int64_t first, int64_t n, int64_t sequences)
{
    int64_t tokens = 0, size = 0;
    for (int64_t i = first; i < first + n; i++) {
        text_of(batch, i, &size);
        tokens += size;
    }
    return (tuff_task_shape){
        .tokens = tuff_packed_token_capacity(tokens), .sequences = sequences, .rows = batch->most};
}

static int64_t texts_of(const tuff_batch *batch)
{
    return batch->count * tuff_embedding_data_of(batch->data)->columns;
}

static void size(const tuff_batch *batch, tuff_task_shape *out_shape, int64_t *out_labels)
{
    const tuff_embedding_data *own = tuff_embedding_data_of(batch->data);
    const tuff_vector_loss loss = loss_of(own, batch->most);
    *out_shape = shape_of(batch, 0, texts_of(batch), batch->most * own->columns);
    *out_labels = tuff_vector_loss_labels(&loss, batch->count);
}

/* The inputs of pooling, one after the other in the pack's own words. */
typedef struct pooled {
    int32_t *segments, *first;
    float *root;
    void *scratch; /* behind them */
} pooled;

static pooled cut(int32_t *words, int64_t sequences)
{
    int32_t *first = words + 4 * sequences;
    return (pooled){words, first, (float *)(first + sequences), first + 2 * sequences};
}

/* Adds a text whose vector is number `row`. */
static void add_text(tuff_pack *pack, const pooled *to, const tuff_embedder *settings, int64_t row,
                     const int32_t *ids, int64_t n)
{
    int32_t at = (int32_t)tuff_pack_add(pack, ids, NULL, n), size = (int32_t)n;
    memcpy(to->segments + 4 * row, (int32_t[]){at, size, at, size}, 4 * sizeof at);
    to->first[row] = settings->pooling == TUFF_POOLING_LAST ? at + size - 1 : at;
    to->root[row] = sqrtf((float)size);
}

static tuff_status set_pooled(tuff_program *program, const pooled *from, int64_t sequences)
{
    size_t n = (size_t)sequences * sizeof(int32_t);
    TUFF_TRY(tuff_program_input(program, "pooled", from->segments, 4 * n));
    TUFF_TRY(tuff_program_input(program, "first", from->first, n));
    return tuff_program_input(program, "root", from->root, n);
}

/* Scores of a batch's rows, in its scratch behind what the loss needs. */
static const float *take_scores(const tuff_batch *batch, float *out)
{
    const tuff_embedding_data *own = tuff_embedding_data_of(batch->data);
    for (int64_t i = 0; i < batch->count && own->scores; i++)
        out[i] = own->scores[batch->examples[i]];
    return out;
}

static tuff_status fill(const tuff_batch *batch, const tuff_task_shape *shape, const tuff_config *config,
                        tuff_pack *pack, tuff_program *program)
{
    const tuff_embedding_data *own = tuff_embedding_data_of(batch->data);
    const tuff_vector_loss loss = loss_of(own, batch->most);
    int64_t words = (int64_t)tuff_vector_loss_words(&loss);
    TUFF_TRY(tuff_pack_begin(pack, config, shape, 6 * shape->sequences + words + batch->most));
    const pooled to = cut(pack->own, shape->sequences);
    for (int64_t i = 0; i < texts_of(batch); i++) {
        int64_t n;
        const int32_t *ids = text_of(batch, i, &n);
        add_text(pack, &to, own->settings, i / batch->count * batch->most + i % batch->count, ids, n);
    }
    TUFF_TRY(tuff_pack_set(pack, program));
    TUFF_TRY(set_pooled(program, &to, shape->sequences));
    const float *scores = take_scores(batch, (float *)to.scratch + words);
    return tuff_vector_loss_set(&loss, program, batch->count, scores, to.scratch);
}

/* ---- graphs ---- */

static tuff_tensor *vectors_of(const tuff_embedding_data *own, tuff_net *net)
{
    tuff_net_begin(net);
    return tuff_embedder_vectors(own->settings, net->g, tuff_net_hidden(net), net->sequences);
}

/* The cosines of the first two columns, for the measurement of pairs. */
static void output_cosines(const tuff_embedding_data *own, tuff_graph *g, tuff_tensor *vectors, int64_t rows)
{
    tuff_tensor *x = tuff_l2_normalize(g, vectors, 1e-12);
    tuff_tensor *products = tuff_mul(g, tuff_slice(g, x, 0, 0, rows), tuff_slice(g, x, 0, rows, rows));
    if (own->scores) tuff_output(g, "cosines", tuff_sum(g, products, 2, false));
}

/* The loss of vectors that are an input, and its gradient. */
static void compare(const tuff_vector_loss *loss, int64_t dimensions, tuff_graph *g)
{
    const int64_t shape[] = {loss->columns * loss->rows, dimensions};
    tuff_tensor *x = tuff_input(g, "vectors", TUFF_F32, 2, shape), *gradient = NULL;
    tuff_tensor *value = tuff_vector_loss_build(loss, g, x);
    tuff_graph_grad(g, value, &x, 1, &gradient);
    tuff_output(g, "value", value);
    tuff_output(g, "gradient", gradient);
}

static tuff_tensor *loss(const tuff_task_graph *at, tuff_net *net)
{
    const tuff_embedding_data *own = tuff_embedding_data_of(at->data);
    const tuff_vector_loss what = loss_of(own, at->shape.rows);
    tuff_graph *g = net->g;
    if (at->pass == COMPARE) {
        compare(&what, own->settings->dimensions, g);
        return NULL;
    }
    tuff_tensor *x = vectors_of(own, net);
    if (at->use == TUFF_TASK_LOGITS || at->pass == VECTORS) {
        tuff_output(g, at->pass == VECTORS ? "vectors" : "logits", x);
        return NULL;
    }
    if (at->pass == BACK) {
        const int64_t shape[] = {at->shape.sequences, own->settings->dimensions};
        return tuff_sum(g, tuff_mul(g, x, tuff_input(g, "given", TUFF_F32, 2, shape)), 3, false);
    }
    if (at->use == TUFF_TASK_MEASURE) output_cosines(own, g, x, what.rows);
    return tuff_vector_loss_build(&what, g, x);
}

/* ---- cached gradients ---- */

static tuff_task_shape piece_shape(const tuff_batch *batch, int64_t piece, int64_t *out_first, int64_t *out_n)
{
    int64_t most = tuff_embedding_data_of(batch->data)->cache, left = texts_of(batch) - piece * most;
    *out_first = piece * most;
    *out_n = left < most ? left : most;
    return shape_of(batch, *out_first, *out_n, most);
}

static int64_t pieces_of(const tuff_batch *batch)
{
    int64_t most = tuff_embedding_data_of(batch->data)->cache;
    return most ? (texts_of(batch) + most - 1) / most : 0;
}

static tuff_task_shape compare_shape(const tuff_batch *batch)
{
    return (tuff_task_shape){.rows = batch->most};
}

static bool passes(const tuff_batch *batch, int index, int *out_pass, tuff_task_shape *out_shape)
{
    int64_t pieces = pieces_of(batch), first, n;
    if (!pieces || index > 2 * pieces) return false;
    *out_pass = index == 2 * pieces ? COMPARE : index % 2 ? BACK : VECTORS;
    *out_shape = *out_pass == COMPARE ? compare_shape(batch) : piece_shape(batch, index / 2, &first, &n);
    return true;
}

/* A batch on its way. */
typedef struct cached {
    tuff_task_run *run;
    const tuff_batch *batch;
    const tuff_embedding_data *own;
    float *vectors, *gradient; /* [columns * most, dimensions]: by column and row */
    float *some;               /* those of a piece */
    int64_t dimensions;
} cached;

/* Where the vector of a batch's text lies. */
static float *row_of(const cached *c, float *rows, int64_t text)
{
    int64_t count = c->batch->count;
    return rows + (text / count * c->batch->most + text % count) * c->dimensions;
}

/* The program of a piece, its texts set. */
static tuff_status begin_piece(cached *c, int pass, int64_t piece, int64_t *out_first, int64_t *out_n,
                               tuff_program **out_program)
{
    const tuff_task_shape shape = piece_shape(c->batch, piece, out_first, out_n);
    tuff_pack *pack = c->run->pack;
    c->run->piece = piece;
    TUFF_TRY(tuff_task_run_program(c->run, pass, &shape, out_program));
    TUFF_TRY(tuff_pack_begin(pack, c->run->config, &shape, 6 * shape.sequences));
    const pooled to = cut(pack->own, shape.sequences);
    for (int64_t i = 0; i < *out_n; i++) {
        int64_t n;
        const int32_t *ids = text_of(c->batch, *out_first + i, &n);
        add_text(pack, &to, c->own->settings, i, ids, n);
    }
    TUFF_TRY(tuff_pack_set(pack, *out_program));
    return set_pooled(*out_program, &to, shape.sequences);
}

static size_t piece_bytes(const cached *c)
{
    return (size_t)(c->own->cache * c->dimensions) * sizeof(float);
}

static tuff_status run_vectors(cached *c, int64_t piece)
{
    tuff_program *program = NULL;
    int64_t first, n;
    TUFF_TRY(begin_piece(c, VECTORS, piece, &first, &n, &program));
    TUFF_TRY(tuff_task_run_once(c->run, program));
    TUFF_TRY(tuff_program_output(program, "vectors", c->some, piece_bytes(c)));
    for (int64_t i = 0; i < n; i++)
        memcpy(row_of(c, c->vectors, first + i), c->some + i * c->dimensions,
               (size_t)c->dimensions * sizeof *c->some);
    return TUFF_OK;
}

static tuff_status run_compare(cached *c, double *out_loss)
{
    const tuff_vector_loss loss = loss_of(c->own, c->batch->most);
    const tuff_task_shape shape = compare_shape(c->batch);
    size_t words = tuff_vector_loss_words(&loss),
           bytes = (size_t)(c->own->columns * c->batch->most * c->dimensions) * sizeof(float);
    tuff_program *program = NULL;
    float value = 0;
    float *scratch = tuff_alloc_array(words + (size_t)c->batch->most, sizeof *scratch);
    if (!scratch) return tuff_fail_memory("a batch of pairs");
    const float *scores = take_scores(c->batch, scratch + words);
    tuff_status status = tuff_task_run_program(c->run, COMPARE, &shape, &program);
    if (status == TUFF_OK) status = tuff_program_input(program, "vectors", c->vectors, bytes);
    if (status == TUFF_OK) status = tuff_vector_loss_set(&loss, program, c->batch->count, scores, scratch);
    if (status == TUFF_OK) status = tuff_task_run_once(c->run, program);
    if (status == TUFF_OK) status = tuff_program_output(program, "value", &value, sizeof value);
    if (status == TUFF_OK) status = tuff_program_output(program, "gradient", c->gradient, bytes);
    tuff_free(scratch);
    *out_loss = (double)value;
    return status;
}

static tuff_status run_back(cached *c, int64_t piece)
{
    tuff_program *program = NULL;
    int64_t first, n;
    TUFF_TRY(begin_piece(c, BACK, piece, &first, &n, &program));
    memset(c->some, 0, piece_bytes(c));
    for (int64_t i = 0; i < n; i++)
        memcpy(c->some + i * c->dimensions, row_of(c, c->gradient, first + i),
               (size_t)c->dimensions * sizeof *c->some);
    TUFF_TRY(tuff_program_input(program, "given", c->some, piece_bytes(c)));
    return tuff_task_run_once(c->run, program);
}

static tuff_status run(tuff_task_run *run, const tuff_batch *batch, double *out_loss)
{
    const tuff_embedding_data *own = tuff_embedding_data_of(batch->data);
    cached c = {.run = run, .batch = batch, .own = own, .dimensions = own->settings->dimensions};
    size_t all = (size_t)(own->columns * batch->most * c.dimensions);
    c.vectors = tuff_alloc_array(2 * all + (size_t)(own->cache * c.dimensions), sizeof *c.vectors);
    if (!c.vectors) return tuff_fail_memory("the vectors of a batch");
    c.gradient = c.vectors + all;
    c.some = c.gradient + all;
    tuff_status status = TUFF_OK;
    for (int64_t i = 0; i < pieces_of(batch) && status == TUFF_OK; i++)
        status = run_vectors(&c, i);
    if (status == TUFF_OK) status = run_compare(&c, out_loss);
    for (int64_t i = 0; i < pieces_of(batch) && status == TUFF_OK; i++)
        status = run_back(&c, i);
    tuff_free(c.vectors);
    return status;
}

/* ---- measurement ---- */

/* A pair as it is kept. */
typedef struct seen {
    double cosine, score;
} seen;

static tuff_status observe(tuff_meter *meter, const tuff_batch *batch, const tuff_task_shape *shape,
                           tuff_program *program)
{
    const tuff_embedding_data *own = tuff_embedding_data_of(batch->data);
    const float *cosines = NULL;
    if (!own->scores) return TUFF_OK;
    TUFF_TRY(tuff_meter_output(meter, program, "cosines", (size_t)shape->rows, &cosines));
    for (int64_t i = 0; i < batch->count; i++) {
        const seen pair = {(double)cosines[i], (double)own->scores[batch->examples[i]]};
        tuff_buf_bytes(&meter->seen, &pair, sizeof pair);
    }
    return meter->seen.failed ? tuff_fail_memory("an evaluation") : TUFF_OK;
}

static tuff_status report(tuff_meter *meter, tuff_eval_result *out_result)
{
    size_t n = meter->seen.size / sizeof(seen);
    if (!n) return TUFF_OK;
    double *x = tuff_alloc_array(2 * n, sizeof *x), spearman = NAN;
    if (!x) return tuff_fail_memory("an evaluation");
    for (size_t i = 0; i < n; i++) {
        seen pair;
        memcpy(&pair, meter->seen.data + i * sizeof pair, sizeof pair);
        x[i] = pair.cosine;
        x[n + i] = pair.score;
    }
    tuff_status status = tuff_spearman(x, x + n, n, &spearman);
    tuff_eval_put(out_result, "spearman", spearman);
    tuff_eval_put(out_result, "pearson", tuff_pearson(x, x + n, n));
    tuff_free(x);
    return status;
}

static void hash(const tuff_dataset *data, tuff_sha256 *out)
{
    const tuff_embedding_data *own = tuff_embedding_data_of(data);
    tuff_sha256_update(out, &own->loss, sizeof own->loss);
    tuff_sha256_update(out, &own->columns, sizeof own->columns);
    if (own->scores)
        tuff_sha256_update(out, own->scores, (size_t)tuff_embedding_rows(data) * sizeof *own->scores);
}

const tuff_task tuff_task_embedding = {.name = "embedding",
                                       .title = "embeddings",
                                       .peft_type = "FEATURE_EXTRACTION",
                                       .compares = compares,
                                       .sequences = sequences,
                                       .load = tuff_embedding_load,
                                       .keep = tuff_embedding_keep,
                                       .join = tuff_embedding_join,
                                       .release = tuff_embedding_release,
                                       .hash = hash,
                                       .check = tuff_embedding_check,
                                       .check_batch = check_batch,
                                       .count = count,
                                       .size = size,
                                       .fill = fill,
                                       .loss = loss,
                                       .passes = passes,
                                       .run = run,
                                       .save = tuff_embedding_save,
                                       .observe = observe,
                                       .report = report};
