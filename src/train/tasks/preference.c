/* Preferences: of two answers to a prompt the model is to find one more probable than the other; or an answer
 * is said to be good or not. What counts is how far the logarithms of the answers' probabilities are from
 * those that a reference has, the model as it was before the training. */
#include <string.h>

#include "base/memory.h"
#include "packed/batch.h"
#include "runtime/program.h"
#include "train/examples.h"
#include "train/tasks/preference.h"

/* ---- data */

static tuff_status check(const tuff_dataset *data, const tuff_model *model)
{
    TUFF_TRY(tuff_model_need_lm(model));
    return tuff_examples_check(data, model);
}

static int64_t sequences(const tuff_dataset *data)
{
    return tuff_preference_is_paired(&tuff_preference_data_of(data)->loss) ? 2 : 1;
}

static int64_t count(const tuff_dataset *data, bool training)
{
    (void)training;
    return data->sequences / sequences(data);
}

static tuff_status check_batch(const tuff_dataset *data, int64_t examples)
{
    const tuff_preference_data *own = tuff_preference_data_of(data);
    if (!tuff_preference_is_paired(&own->loss) && examples < 2)
        return tuff_fail(
            TUFF_INVALID_ARGUMENT,
            "the loss kto is told by the answers to a batch's other prompts how far the model has "
            "come, and a batch of one has no others; expected a batch of at least 2");
    return TUFF_OK;
}

/* kto by what the batch's answers have in common, orpo by the mean over its tokens. */
static bool compares(const tuff_dataset *data)
{
    const tuff_preference_kind kind = tuff_preference_data_of(data)->loss.kind;
    return kind == TUFF_PREFERENCE_KTO || kind == TUFF_PREFERENCE_ORPO;
}

static int64_t reference(const tuff_dataset *data)
{
    return tuff_preference_has_reference(&tuff_preference_data_of(data)->loss) ? 2 : 0;
}

/* The settings of the loss as numbers. */
enum { SETTINGS = 5 };
static void settings_of(const tuff_dataset *data, double out[SETTINGS])
{
    const tuff_preference_loss *l = &tuff_preference_data_of(data)->loss;
    const double all[SETTINGS] = {l->kind, l->beta, l->label_smoothing, l->desirable_weight,
                                  l->undesirable_weight};
    memcpy(out, all, sizeof all);
}

static void hash(const tuff_dataset *data, tuff_sha256 *out)
{
    const tuff_preference_data *own = tuff_preference_data_of(data);
    double settings[SETTINGS];
    settings_of(data, settings);
    tuff_sha256_update(out, settings, sizeof settings);
    tuff_sha256_update(out, own->counts.data, (size_t)data->tokens);
    for (int64_t i = 0; i < data->sequences; i++)
        tuff_sha256_update(out, &own->answers[i].desirable, sizeof own->answers[i].desirable);
}

static void describe(const tuff_dataset *data, tuff_data_report *out)
{
    const tuff_preference_data *own = tuff_preference_data_of(data);
    if (own->format) {
        out->format = tuff_conversation_format_name(own->format);
        out->chat_template = tuff_conversation_source_name(own->source);
    }
    for (int64_t i = 0; i < data->sequences; i++)
        out->labels += own->answers[i].counted;
}

/* ---- sequences of a batch */

enum { FIRST, SECOND }; /* the preferred or an example's own; the other */

/* A prompt and what stands behind it, which may be the answer to another one. */
typedef struct sequence {
    const int32_t *ids[2];
    const uint8_t *counts[2];
    int64_t n[2];
} sequence;

static void take(const tuff_dataset *data, int64_t number, bool answer, sequence *out)
{
    const tuff_preference_data *own = tuff_preference_data_of(data);
    const int64_t prompt = own->answers[number].prompt, at = data->starts[number] + (answer ? prompt : 0);
    out->ids[answer] = data->ids + at;
    out->counts[answer] = (const uint8_t *)own->counts.data + at;
    out->n[answer] = answer ? tuff_dataset_length(data, (uint32_t)number) - prompt : prompt;
}

/* Whose answer is set behind the prompt of an example: that of the one before it, in groups as large as
 * batches in the order of the file are, in each of which the first one takes the last one's. */
static int64_t partner(const tuff_batch *batch, int64_t example)
{
    const int64_t all = batch->data->sequences, begin = example / batch->most * batch->most;
    const int64_t n = all - begin < batch->most ? all - begin : batch->most;
    if (n == 1) return example ? example - 1 : 0; /* a group of one has no other, but the data has */
    return begin + (example - begin + n - 1) % n;
}

static sequence sequence_of(const tuff_batch *batch, int64_t i, int which)
{
    const tuff_preference_data *own = tuff_preference_data_of(batch->data);
    const int64_t example = batch->examples[i];
    const bool paired = tuff_preference_is_paired(&own->loss);
    sequence s;
    const int64_t number = paired ? 2 * example + which : example;
    take(batch->data, number, false, &s);
    take(batch->data, paired || which == FIRST ? number : partner(batch, example), true, &s);
    if (s.n[0] + s.n[1] > own->max_length) s.n[1] = own->max_length - s.n[0];
    return s;
}

static int64_t length_of(const sequence *s)
{
    return s->n[0] + s->n[1];
}

static bool is_counted(const sequence *s, int64_t at)
{
    return at < s->n[0] ? s->counts[0][at] : s->counts[1][at - s->n[0]];
}

/* Whether the loss has the likelihood of all that is preferred, prompts too, as TRL's of orpo. */
static bool has_likelihood(const tuff_preference_data *own)
{
    return own->loss.kind == TUFF_PREFERENCE_ORPO;
}

/* How many tokens of a sequence the model is asked for. */
static int64_t asked_of(const tuff_preference_data *own, const sequence *s, int which)
{
    int64_t asked = 0;
    if (has_likelihood(own) && which == FIRST) return length_of(s) - 1;
    for (int64_t p = 1; p < length_of(s); p++)
        asked += is_counted(s, p);
    return asked;
}

/* ---- batches */

/* Rows for what is asked for are a quarter of the tokens, or two, or three, or all: few programs serve. */
static int64_t row_capacity(int64_t rows, int64_t tokens)
{
    const int64_t quarter = (tokens + 3) / 4;
    const int64_t all = (rows + quarter - 1) / quarter * quarter;
    return all < tokens ? all : tokens;
}

static void size(const tuff_batch *batch, tuff_task_shape *out_shape, int64_t *out_labels)
{
    const tuff_preference_data *own = tuff_preference_data_of(batch->data);
    int64_t tokens = 0, rows = 0;
    double settings[SETTINGS];
    for (int which = FIRST; which <= SECOND; which++)
        for (int64_t i = 0; i < batch->count; i++) {
            const sequence s = sequence_of(batch, i, which);
            tokens += length_of(&s);
            rows += asked_of(own, &s, which);
        }
    *out_labels = batch->count;
    *out_shape =
        (tuff_task_shape){.tokens = tuff_packed_token_capacity(tokens), .sequences = 2 * batch->most};
    out_shape->rows = row_capacity(rows, out_shape->tokens);
    /* data with another loss, which may be measured beside, has programs of its own */
    settings_of(batch->data, settings);
    out_shape->width = (int64_t)(tuff_fnv1a(settings, sizeof settings) >> 1);
}

/* The inputs of a batch, one after the other in the pack's own words. */
typedef struct inputs {
    int32_t *picked, *labels, *of, *lengths, *desirable, *ids;
    float *likelihood, *reference, *scratch;
    int64_t rows;
} inputs;

static int64_t words_of(const tuff_preference_data *own, const tuff_task_shape *shape)
{
    return 4 * shape->rows + 3 * shape->sequences + (int64_t)tuff_preference_words(shape->sequences / 2) +
           own->max_length;
}

static inputs cut(const tuff_pack *pack, const tuff_task_shape *shape)
{
    inputs in = {.picked = pack->own};
    in.labels = in.picked + shape->rows;
    in.of = in.labels + shape->rows;
    in.lengths = in.of + shape->rows;
    in.desirable = in.lengths + shape->sequences;
    in.likelihood = (float *)(in.desirable + shape->sequences);
    in.reference = in.likelihood + shape->rows;
    in.scratch = in.reference + shape->sequences;
    in.ids = (int32_t *)(in.scratch + tuff_preference_words(shape->sequences / 2));
    for (int64_t i = 0; i < shape->rows; i++) {
        in.labels[i] = TUFF_NO_LABEL;
        in.of[i] = -1;
    }
    return in;
}

/* A sequence, whose number among the log-probabilities is `number`. */
static void add(const tuff_preference_data *own, const sequence *s, int which, int64_t number,
                tuff_pack *pack, inputs *in)
{
    const bool all = has_likelihood(own) && which == FIRST;
    memcpy(in->ids, s->ids[0], (size_t)s->n[0] * sizeof *in->ids);
    memcpy(in->ids + s->n[0], s->ids[1], (size_t)s->n[1] * sizeof *in->ids);
    const int64_t at = tuff_pack_add(pack, in->ids, NULL, length_of(s));
    for (int64_t p = 1; p < length_of(s); p++) {
        const bool counts = is_counted(s, p);
        if (!counts && !all) continue;
        in->picked[in->rows] = (int32_t)(at + p - 1);
        in->labels[in->rows] = in->ids[p];
        in->of[in->rows] = counts ? (int32_t)number : -1;
        in->likelihood[in->rows++] = all;
        in->lengths[number] += counts;
    }
}

/* The likelihood is a mean over tokens of the batch, and counts once for each example. */
static void weigh_likelihood(const tuff_batch *batch, inputs *in)
{
    float tokens = 0;
    for (int64_t r = 0; r < in->rows; r++)
        tokens += in->likelihood[r];
    for (int64_t r = 0; r < in->rows && tokens > 0; r++)
        in->likelihood[r] *= (float)batch->count / tokens;
}

static tuff_status set_losses(const tuff_batch *batch, const tuff_task_shape *shape, inputs *in,
                              tuff_program *program)
{
    const tuff_preference_data *own = tuff_preference_data_of(batch->data);
    const float labels = (float)batch->count;
    for (int64_t i = 0; i < batch->count; i++) {
        in->desirable[i] = own->answers[batch->examples[i]].desirable;
        for (int which = FIRST; which <= SECOND && batch->reference; which++)
            in->reference[which * batch->most + i] =
                batch->reference[2 * (int64_t)batch->examples[i] + which];
    }
    const tuff_preference_batch b = {batch->count, batch->most, in->reference, in->lengths, in->desirable};
    TUFF_TRY(tuff_preference_set(&own->loss, program, &b, in->scratch));
    if (tuff_program_has_input(program, "balance.labels"))
        TUFF_TRY(tuff_program_input(program, "balance.labels", &labels, sizeof labels));
    if (!tuff_program_has_input(program, "likelihood")) return TUFF_OK;
    weigh_likelihood(batch, in);
    return tuff_program_input(program, "likelihood", in->likelihood, (size_t)shape->rows * sizeof(float));
}

static tuff_status fill(const tuff_batch *batch, const tuff_task_shape *shape, const tuff_config *config,
                        tuff_pack *pack, tuff_program *program)
{
    const tuff_preference_data *own = tuff_preference_data_of(batch->data);
    const size_t bytes = (size_t)shape->rows * sizeof(int32_t);
    TUFF_TRY(tuff_pack_begin(pack, config, shape, words_of(own, shape)));
    inputs in = cut(pack, shape);
    for (int which = FIRST; which <= SECOND; which++)
        for (int64_t i = 0; i < batch->count; i++) {
            const sequence s = sequence_of(batch, i, which);
            add(own, &s, which, which * batch->most + i, pack, &in);
        }
    TUFF_TRY(tuff_pack_set(pack, program));
    TUFF_TRY(tuff_pack_set_picked(pack, program, "picked", in.picked, shape->rows));
    TUFF_TRY(tuff_program_input(program, "labels", in.labels, bytes));
    TUFF_TRY(tuff_program_input(program, "of", in.of, bytes));
    return set_losses(batch, shape, &in, program);
}

/* ---- graph */

/* The logarithms of the probabilities of the answers, [sequences], from those of their tokens. */
static tuff_tensor *sums(const tuff_task_graph *at, tuff_graph *g, tuff_tensor *losses)
{
    const int64_t rows = at->shape.rows, sequences = at->shape.sequences;
    tuff_tensor *column = tuff_reshape(g, losses, 2, (int64_t[]){rows, 1});
    tuff_tensor *of = tuff_input(g, "of", TUFF_I32, 1, &rows);
    tuff_tensor *sum = tuff_scatter_add_rows(g, column, of, sequences);
    return tuff_reshape(g, tuff_scale(g, sum, -1), 1, &sequences);
}

static tuff_tensor *loss(const tuff_task_graph *at, tuff_net *net)
{
    const tuff_preference_data *own = tuff_preference_data_of(at->data);
    const bool training = at->use == TUFF_TASK_TRAIN;
    tuff_graph *g = net->g;
    net->balance = training;
    tuff_net_begin(net);
    tuff_tensor *states = tuff_net_pick(net, tuff_net_hidden(net), at->shape.rows, training);
    tuff_tensor *losses = tuff_cross_entropy_rows(g, tuff_net_head(net, states),
                                                  tuff_input(g, "labels", TUFF_I32, 1, &at->shape.rows));
    tuff_tensor *logps = sums(at, g, losses);
    tuff_output(g, at->use == TUFF_TASK_REFERENCE ? "reference" : "logps", logps);
    if (at->use == TUFF_TASK_REFERENCE) return NULL;
    tuff_tensor *sum = tuff_preference_build(&own->loss, g, logps, at->shape.sequences / 2);
    if (has_likelihood(own)) {
        tuff_tensor *weights = tuff_input(g, "likelihood", TUFF_F32, 1, &at->shape.rows);
        sum = tuff_add(g, sum, tuff_sum(g, tuff_mul(g, losses, weights), 1, false));
    }
    tuff_tensor *balance = tuff_net_balance(net);
    if (!balance) return sum;
    return tuff_add(g, sum, tuff_mul(g, balance, tuff_input(g, "balance.labels", TUFF_F32, 0, NULL)));
}

/* ---- measurement: rewards, named as TRL names them */

/* An example as it is kept: the rewards and the log-probabilities of both answers, where there are both; of
 * kto how far the batch's model has come. */
typedef struct seen {
    double rewards[2], logps[2], kl;
    bool has[2];
    bool reserved[6];
} seen;

/* What the logarithm of an answer's probability is, and by how much that is more than it was. */
static void look(const tuff_batch *batch, const float *logps, int64_t i, int which, double *out_logp,
                 double *out_more)
{
    const tuff_preference_data *own = tuff_preference_data_of(batch->data);
    const int64_t example = batch->examples[i];
    *out_logp = (double)logps[which * batch->most + i];
    if (!tuff_preference_has_reference(&own->loss)) /* the mean over tokens, as TRL has it */
        *out_logp /= (double)own->answers[2 * example + which].counted;
    *out_more = *out_logp - (batch->reference ? (double)batch->reference[2 * example + which] : 0);
}

static double kl_of(const tuff_batch *batch, const float *logps)
{
    double sum = 0, logp, more;
    for (int64_t i = 0; i < batch->count; i++) {
        look(batch, logps, i, SECOND, &logp, &more);
        sum += more / (double)batch->count;
    }
    return sum < 0 ? 0 : sum;
}

static tuff_status observe(tuff_meter *meter, const tuff_batch *batch, const tuff_task_shape *shape,
                           tuff_program *program)
{
    const tuff_preference_data *own = tuff_preference_data_of(batch->data);
    const bool paired = tuff_preference_is_paired(&own->loss);
    const float *logps = NULL;
    TUFF_TRY(tuff_meter_output(meter, program, "logps", (size_t)shape->sequences, &logps));
    const double kl = paired ? 0 : kl_of(batch, logps);
    for (int64_t i = 0; i < batch->count; i++) {
        seen s = {.kl = kl};
        for (int which = FIRST; which <= (paired ? SECOND : FIRST); which++) {
            const int k = paired ? which : !own->answers[batch->examples[i]].desirable;
            look(batch, logps, i, which, &s.logps[k], &s.rewards[k]);
            s.rewards[k] *= own->loss.beta;
            s.has[k] = true;
        }
        tuff_buf_bytes(&meter->seen, &s, sizeof s);
    }
    return meter->seen.failed ? tuff_fail_memory("an evaluation") : TUFF_OK;
}

static void put_mean(tuff_eval_result *out, const char *name, double sum, double count)
{
    if (count > 0) tuff_eval_put(out, name, sum / count);
}

static tuff_status report(tuff_meter *meter, tuff_eval_result *out)
{
    const bool paired = tuff_preference_is_paired(&tuff_preference_data_of(meter->data)->loss);
    double rewards[2] = {0, 0}, logps[2] = {0, 0}, n[2] = {0, 0}, right = 0, kl = 0;
    const size_t all = meter->seen.size / sizeof(seen);
    for (size_t i = 0; i < all; i++) {
        seen s;
        memcpy(&s, meter->seen.data + i * sizeof s, sizeof s);
        for (int k = 0; k < 2; k++) {
            rewards[k] += s.rewards[k];
            logps[k] += s.logps[k];
            n[k] += s.has[k];
        }
        right += s.rewards[0] > s.rewards[1];
        kl += s.kl;
    }
    put_mean(out, "rewards/chosen", rewards[0], n[0]);
    put_mean(out, "rewards/rejected", rewards[1], n[1]);
    if (n[0] > 0 && n[1] > 0) tuff_eval_put(out, "rewards/margins", rewards[0] / n[0] - rewards[1] / n[1]);
    if (paired) put_mean(out, "rewards/accuracies", right, (double)all);
    put_mean(out, "logps/chosen", logps[0], n[0]);
    put_mean(out, "logps/rejected", logps[1], n[1]);
    if (!paired) put_mean(out, "kl", kl, (double)all);
    return TUFF_OK;
}

const tuff_task tuff_task_preference = {.name = "preference",
                                        .title = "preferences",
                                        .head = &tuff_head_lm,
                                        .load = tuff_preference_load,
                                        .keep = tuff_preference_keep,
                                        .join = tuff_preference_join,
                                        .release = tuff_preference_release,
                                        .hash = hash,
                                        .check = check,
                                        .check_batch = check_batch,
                                        .compares = compares,
                                        .sequences = sequences,
                                        .count = count,
                                        .reference = reference,
                                        .describe = describe,
                                        .size = size,
                                        .fill = fill,
                                        .loss = loss,
                                        .of_steps = true,
                                        .observe = observe,
                                        .report = report};
