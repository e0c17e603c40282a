/* Extractive question answering: where in its context a question's answer begins and where it ends. A long
 * context is several sequences, each with a window of it; an answer that is not in a window stands at the
 * first token there. */
#include "train/tasks/answers.h"

#include <math.h>

#include "packed/batch.h"
#include "train/examples.h"
#include "train/squad.h"

enum { LONGEST_ANSWER = 30 }; /* tokens, as in run_qa.py */

static void size(const tuff_batch *batch, tuff_task_shape *out_shape, int64_t *out_labels)
{
    int64_t longest = 1;
    for (int64_t i = 0; i < batch->count; i++) {
        int64_t n = tuff_dataset_length(batch->data, batch->examples[i]);
        longest = n > longest ? n : longest;
    }
    tuff_examples_shape(batch, out_shape);
    out_shape->width = tuff_packed_token_capacity(longest);
    *out_labels = 2 * batch->count; /* begins and ends */
}

static void hash(const tuff_dataset *data, tuff_sha256 *out)
{
    const tuff_questions *q = data->own;
    tuff_sha256_update(out, q->windows, q->window_count * sizeof *q->windows);
}

/* Where the tokens of each sequence lie, as rows of a table [sequences, width]; what is beside them is
 * none's, and gets a score that no softmax sees. */
static void fill_table(const tuff_batch *batch, const tuff_task_shape *shape, tuff_pack *pack, int32_t *rows,
                       float *beside)
{
    for (int64_t i = 0; i < shape->sequences * shape->width; i++) {
        rows[i] = -1;
        beside[i] = -1e30F;
    }
    for (int64_t i = 0; i < batch->count; i++) {
        int64_t first, n;
        tuff_examples_pack(batch, pack, i, &first, &n);
        for (int64_t k = 0; k < n; k++) {
            rows[i * shape->width + k] = (int32_t)(first + k);
            beside[i * shape->width + k] = 0;
        }
    }
}

static tuff_status fill(const tuff_batch *batch, const tuff_task_shape *shape, const tuff_config *config,
                        tuff_pack *pack, tuff_program *program)
{
    const tuff_questions *q = batch->data->own;
    int64_t n = shape->sequences, table = n * shape->width;
    TUFF_TRY(tuff_pack_begin(pack, config, shape, 2 * table + 2 * n));
    int32_t *rows = pack->own, *labels = rows + table;
    float *beside = (float *)(labels + 2 * n);
    fill_table(batch, shape, pack, rows, beside);
    for (int64_t i = 0; i < n; i++) {
        const tuff_window *w = i < batch->count ? &q->windows[batch->examples[i]] : NULL;
        labels[i] = w ? w->first : TUFF_NO_LABEL;
        labels[n + i] = w ? w->last : TUFF_NO_LABEL;
    }
    TUFF_TRY(tuff_pack_set(pack, program));
    TUFF_TRY(tuff_program_input(program, "table", rows, (size_t)table * sizeof *rows));
    TUFF_TRY(tuff_program_input(program, "beside", beside, (size_t)table * sizeof *beside));
    return tuff_program_input(program, "labels", labels, (size_t)(2 * n) * sizeof *labels);
}

static tuff_tensor *loss(const tuff_task_graph *at, tuff_net *net)
{
    tuff_graph *g = net->g;
    int64_t n = at->shape.sequences, width = at->shape.width, table = n * width, both = 2 * n;
    tuff_net_begin(net);
    tuff_tensor *x = tuff_net_head(net, tuff_net_hidden(net));
    if (at->use == TUFF_TASK_MEASURE) tuff_output(g, "spans", x);
    x = tuff_gather_rows(g, x, tuff_input(g, "table", TUFF_I32, 1, &table));
    x = tuff_add(g, x, tuff_input(g, "beside", TUFF_F32, 2, (int64_t[]){table, 1}));
    x = tuff_permute(g, tuff_reshape(g, x, 3, (int64_t[]){n, width, 2}), (int[]){2, 0, 1});
    x = tuff_reshape(g, x, 2, (int64_t[]){both, width});
    return tuff_cross_entropy_sum(g, x, tuff_input(g, "labels", TUFF_I32, 1, &both));
}

/* ---- measurement */

/* The best answer of a window. */
typedef struct candidate {
    int32_t question;
    float score, none; /* of the answer, and of that there is none */
    tuff_place place;
} candidate;

static candidate best_of(const float *spans, const tuff_place *places, int64_t n, int32_t question)
{
    candidate best = {.question = question, .score = -INFINITY, .none = spans[0] + spans[1]};
    for (int64_t first = 0; first < n; first++) {
        if (!places[first].end) continue;
        for (int64_t last = first; last < n && last < first + LONGEST_ANSWER; last++) {
            float score = spans[2 * first] + spans[2 * last + 1];
            if (!places[last].end || score <= best.score) continue;
            best.score = score;
            best.place = (tuff_place){places[first].begin, places[last].end};
        }
    }
    return best;
}

static tuff_status observe(tuff_meter *meter, const tuff_batch *batch, const tuff_task_shape *shape,
                           tuff_program *program)
{
    const tuff_dataset *data = batch->data;
    const tuff_questions *q = data->own;
    float *spans = NULL;
    TUFF_TRY(tuff_meter_output(meter, program, "spans", (size_t)(2 * shape->tokens), &spans));
    for (int64_t i = 0, at = 0; i < batch->count; i++) {
        uint32_t window = batch->examples[i];
        int64_t n = tuff_dataset_length(data, window);
        const candidate best =
            best_of(spans + 2 * at, q->places + data->starts[window], n, q->windows[window].question);
        tuff_buf_bytes(&meter->seen, &best, sizeof best);
        at += n;
    }
    return meter->seen.failed ? tuff_fail_memory("an evaluation") : TUFF_OK;
}

/* The best of a question's windows; nothing, where all windows together say so and questions without an
 * answer occur. */
static tuff_view answer(const tuff_questions *q, const candidate *windows, size_t n, bool may_be_none)
{
    candidate best = windows[0];
    float none = windows[0].none;
    for (size_t i = 1; i < n; i++) {
        none = windows[i].none < none ? windows[i].none : none;
        if (windows[i].score > best.score) best = windows[i];
    }
    if (best.score == -INFINITY || (may_be_none && none > best.score)) return (tuff_view){"", 0};
    const tuff_question *item = &q->items[best.question];
    return (tuff_view){item->context.data + best.place.begin, best.place.end - best.place.begin};
}

static tuff_status judge(const tuff_questions *q, const tuff_question *item, tuff_view said, double *exact,
                         double *f1)
{
    const tuff_view nothing = {"", 0};
    double best_exact = 0, best_f1 = 0, e, f;
    for (size_t i = 0; i < item->answers || i == 0; i++) {
        TUFF_TRY(
            tuff_squad_compare(said, item->answers ? q->answers[item->first_answer + i] : nothing, &e, &f));
        best_exact = e > best_exact ? e : best_exact;
        best_f1 = f > best_f1 ? f : best_f1;
    }
    *exact += best_exact;
    *f1 += best_f1;
    return TUFF_OK;
}

static tuff_status report(tuff_meter *meter, tuff_eval_result *out)
{
    const tuff_questions *q = meter->data->own;
    const candidate *all = (const candidate *)(const void *)meter->seen.data;
    bool may_be_none = false;
    double exact = 0, f1 = 0;
    for (size_t i = 0; i < q->count; i++)
        may_be_none = may_be_none || !q->items[i].answers;
    for (size_t at = 0, n; at < q->window_count; at += n) {
        for (n = 1; at + n < q->window_count && all[at + n].question == all[at].question; n++) {
        }
        tuff_view said = answer(q, all + at, n, may_be_none);
        TUFF_TRY(judge(q, &q->items[all[at].question], said, &exact, &f1));
    }
    tuff_eval_put(out, "exact_match", 100 * exact / (double)q->count);
    tuff_eval_put(out, "f1", 100 * f1 / (double)q->count);
    return TUFF_OK;
}

const tuff_task tuff_task_answers = {.name = "qa",
                                     .title = "question answering",
                                     .head = &tuff_head_spans,
                                     .load = tuff_questions_load,
                                     .join = tuff_questions_join,
                                     .release = tuff_questions_release,
                                     .hash = hash,
                                     .check = tuff_examples_check,
                                     .count = tuff_examples_count,
                                     .size = size,
                                     .fill = fill,
                                     .loss = loss,
                                     .observe = observe,
                                     .report = report};
