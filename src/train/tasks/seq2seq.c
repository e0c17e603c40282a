/* Sequence to sequence: texts that answer others, translations or summaries, token by token. An example is
 * two sequences: the source, which the encoder reads, and the target. The decoder is given the target behind
 * its first token, and finds each token of it from those before. */
#include <string.h>

#include "packed/batch.h"
#include "train/examples.h"
#include "train/task.h"

/* ---- data */

/* `own` is what is put before sources; NULL: nothing. */
static tuff_status prepare(const tuff_example_reader *r, const void *own, const tuff_watch *watch,
                           tuff_example_item *item)
{
    const tuff_view none = {0};
    tuff_view source = item->values[0];
    tuff_buf room = {0};
    (void)watch;
    if (own) {
        tuff_buf_text(&room, own);
        tuff_buf_bytes(&room, source.data, source.size);
        source = (tuff_view){room.data, room.size};
    }
    tuff_status status =
        room.failed ? tuff_fail_memory("a source") : tuff_example_item_text(r, item, source, none);
    tuff_buf_free(&room);
    return status == TUFF_OK ? tuff_example_item_text(r, item, item->values[1], none) : status;
}

static tuff_status take(tuff_example_reader *r, void *own)
{
    (void)own;
    TUFF_TRY(tuff_example_reader_add(r));
    return tuff_example_reader_add(r);
}

static tuff_status load(const tuff_model *model, const char *path, const tuff_data_params *params,
                        tuff_dataset *data)
{
    const char *fields[] = {params->text_field ? params->text_field : "source",
                            params->label_field ? params->label_field : "target"};
    tuff_example_reader r;
    tuff_status status = tuff_example_reader_open(&r, model, path, params, fields, 2, data);
    if (status == TUFF_OK)
        status = tuff_example_reader_run(&r, &(tuff_example_work){prepare, take},
                                         (void *)(uintptr_t)params->source_prefix);
    tuff_example_reader_close(&r);
    return status;
}

static tuff_status check(const tuff_dataset *data, const tuff_model *model)
{
    const int32_t start = model->config.tokens.start;
    if (start < 0 || start >= model->config.vocab_size)
        return tuff_fail(TUFF_BAD_FORMAT,
                         "%s: decoder_start_token_id is %d, expected a token of its vocabulary of %lld",
                         model->path, start, (long long)model->config.vocab_size);
    return tuff_examples_check(data, model);
}

static int64_t sequences(const tuff_dataset *data)
{
    (void)data;
    return 2;
}

static int64_t count(const tuff_dataset *data, bool training)
{
    (void)training;
    return data->sequences / sequences(data);
}

/* ---- batches */

enum { SOURCE, TARGET };

static const int32_t *sequence(const tuff_batch *batch, int64_t i, int which, int64_t *out_length)
{
    const tuff_dataset *data = batch->data;
    const uint32_t s = 2 * batch->examples[i] + (uint32_t)which;
    *out_length = tuff_dataset_length(data, s);
    return data->ids + data->starts[s];
}

static void size(const tuff_batch *batch, tuff_task_shape *out_shape, int64_t *out_labels)
{
    int64_t tokens[2] = {0, 0}, n;
    for (int64_t i = 0; i < batch->count; i++)
        for (int which = SOURCE; which <= TARGET; which++) {
            sequence(batch, i, which, &n);
            tokens[which] += n;
        }
    *out_labels = tokens[TARGET];
    *out_shape = (tuff_task_shape){.tokens = tuff_packed_token_capacity(tokens[TARGET]),
                                   .sequences = batch->most,
                                   .rows = tuff_packed_token_capacity(tokens[SOURCE])};
}

/* The encoder's inputs and the labels, one after the other in the pack's own words. */
typedef struct inputs {
    int32_t *ids, *positions, *segments, *cross, *labels;
} inputs;

static int64_t words_of(const tuff_task_shape *shape)
{
    return 2 * shape->rows + 8 * shape->sequences + shape->tokens;
}

static inputs cut(const tuff_pack *pack, const tuff_task_shape *shape)
{
    inputs in = {.ids = pack->own};
    in.positions = in.ids + shape->rows;
    in.segments = in.positions + shape->rows;
    in.cross = in.segments + 4 * shape->sequences;
    in.labels = in.cross + 4 * shape->sequences;
    for (int64_t i = 0; i < shape->tokens; i++)
        in.labels[i] = TUFF_NO_LABEL;
    return in;
}

/* Example i; *source is how many tokens of sources there are. */
static void add(const tuff_batch *batch, int64_t i, tuff_pack *pack, const inputs *in, int64_t *source)
{
    int64_t n, m;
    const int32_t *from = sequence(batch, i, SOURCE, &m), *to = sequence(batch, i, TARGET, &n);
    const int64_t at = tuff_pack_add(pack, to, NULL, n);
    const int32_t begin = (int32_t)*source, keys = (int32_t)m;
    memcpy(in->labels + at, to, (size_t)n * sizeof *to);
    memcpy(pack->ids + at + 1, to, (size_t)(n - 1) * sizeof *to);
    pack->ids[at] = pack->config->tokens.start;
    memcpy(in->ids + begin, from, (size_t)m * sizeof *from);
    tuff_config_positions(pack->config->encoder, from, (size_t)m, in->positions + begin);
    memcpy(in->segments + 4 * i, (int32_t[]){begin, keys, begin, keys}, 4 * sizeof *in->segments);
    memcpy(in->cross + 4 * i, (int32_t[]){(int32_t)at, (int32_t)n, begin, keys}, 4 * sizeof *in->cross);
    *source += m;
}

static tuff_status fill(const tuff_batch *batch, const tuff_task_shape *shape, const tuff_config *config,
                        tuff_pack *pack, tuff_program *program)
{
    const size_t table = (size_t)shape->sequences * 4 * sizeof(int32_t);
    int64_t source = 0;
    TUFF_TRY(tuff_pack_begin(pack, config, shape, words_of(shape)));
    const inputs in = cut(pack, shape);
    for (int64_t i = 0; i < batch->count; i++)
        add(batch, i, pack, &in, &source);
    TUFF_TRY(tuff_pack_set(pack, program));
    TUFF_TRY(tuff_pack_set_picked(pack, program, "source.ids", in.ids, shape->rows));
    TUFF_TRY(tuff_pack_set_picked(pack, program, "source.positions", in.positions, shape->rows));
    TUFF_TRY(tuff_program_input(program, "source.segments", in.segments, table));
    TUFF_TRY(tuff_pack_set_noise(pack, program, "source.noise", in.segments, 0, shape->rows));
    TUFF_TRY(tuff_program_input(program, "cross.segments", in.cross, table));
    return tuff_program_input(program, "labels", in.labels, (size_t)shape->tokens * sizeof *in.labels);
}

static tuff_tensor *loss(const tuff_task_graph *at, tuff_net *net)
{
    tuff_net_begin(net);
    tuff_tensor *logits = tuff_net_logits(net, tuff_net_hidden(net), false);
    if (at->use == TUFF_TASK_MEASURE) tuff_output(net->g, "best", tuff_argmax(net->g, logits));
    return tuff_task_cross_entropy(at, net->g, logits,
                                   tuff_input(net->g, "labels", TUFF_I32, 1, &at->shape.tokens));
}

/* ---- measurement: how many tokens there are, and how many of them are the most probable ones */

static tuff_status observe(tuff_meter *meter, const tuff_batch *batch, const tuff_task_shape *shape,
                           tuff_program *program)
{
    int64_t labels = 0, right = 0, at = 0, n;
    int32_t *best = NULL;
    TUFF_TRY(tuff_meter_output(meter, program, "best", (size_t)shape->tokens, &best));
    for (int64_t i = 0; i < batch->count; i++, at += n) {
        const int32_t *target = sequence(batch, i, TARGET, &n);
        for (int64_t k = 0; k < n; k++)
            right += best[at + k] == target[k];
        labels += n;
    }
    return tuff_meter_count(meter, labels, right);
}

static tuff_status join(tuff_dataset *into, const tuff_dataset *part)
{
    (void)into;
    (void)part;
    return TUFF_OK; /* there are sequences alone */
}

static tuff_status ask(const tuff_dataset *data, tuff_asked *q, bool *out_there)
{
    *out_there = q->next < data->sequences / 2;
    if (!*out_there) return TUFF_OK;
    const uint32_t source = 2 * (uint32_t)q->next++, target = source + 1;
    *q = (tuff_asked){.ids = data->ids + data->starts[source],
                      .count = (size_t)tuff_dataset_length(data, source),
                      .answer = data->ids + data->starts[target],
                      .answer_count = (size_t)tuff_dataset_length(data, target),
                      .next = q->next};
    return TUFF_OK;
}

const tuff_task tuff_task_seq2seq = {.name = "seq2seq",
                                     .title = "sequence-to-sequence learning",
                                     .head = &tuff_head_seq2seq,
                                     .perplexity = true,
                                     .sequences = sequences,
                                     .load = load,
                                     .keep = tuff_examples_keep,
                                     .join = join,
                                     .check = check,
                                     .count = count,
                                     .size = size,
                                     .fill = fill,
                                     .loss = loss,
                                     .smooths = tuff_task_smooths,
                                     .observe = observe,
                                     .report = tuff_meter_accuracy,
                                     .ask = ask,
                                     .asks_always = true};
