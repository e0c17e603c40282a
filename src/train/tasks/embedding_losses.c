/* The losses of sentence-transformers, as sums over rows. Rows that are not used have vectors of zeros, and
 * count 0 times. */
#include "train/tasks/embedding_losses.h"

#include <stdio.h>
#include <string.h>

#include "ir/graph.h"

/* Added to what takes no part in a softmax: e to this is 0, and sums with it stay finite. */
static const float NEVER = -1e30F;

static tuff_tensor *column(const tuff_vector_loss *l, tuff_graph *g, tuff_tensor *vectors, int64_t c)
{
    return tuff_slice(g, vectors, 0, c * l->rows, l->rows);
}

static tuff_tensor *one(tuff_graph *g, double value)
{
    return tuff_fill(g, value, 0, NULL);
}

static tuff_tensor *square(tuff_graph *g, tuff_tensor *x)
{
    return tuff_mul(g, x, x);
}

/* Numbers by row, [rows]: 1 where a row is used; its score. */
static tuff_tensor *by_row(const tuff_vector_loss *l, tuff_graph *g, const char *name)
{
    return tuff_input(g, name, TUFF_F32, 1, &l->rows);
}

static tuff_tensor *sum_used(const tuff_vector_loss *l, tuff_graph *g, tuff_tensor *losses)
{
    return tuff_sum(g, tuff_mul(g, losses, by_row(l, g, "used")), 1, false);
}

/* Of the first two columns, [rows]. */
static tuff_tensor *cosines(const tuff_vector_loss *l, tuff_graph *g, tuff_tensor *vectors, double eps)
{
    tuff_tensor *a = tuff_l2_normalize(g, column(l, g, vectors, 0), eps),
                *b = tuff_l2_normalize(g, column(l, g, vectors, 1), eps);
    return tuff_sum(g, tuff_mul(g, a, b), 2, false);
}

/* MultipleNegativesRankingLoss (Henderson et al. 2017): among all texts of the other columns, which one is
 * the row's? */
static tuff_tensor *ranking(const tuff_vector_loss *l, tuff_graph *g, tuff_tensor *vectors)
{
    int64_t candidates = (l->columns - 1) * l->rows;
    tuff_tensor *x = tuff_l2_normalize(g, vectors, 1e-12);
    tuff_tensor *cosine =
        tuff_matmul(g, column(l, g, x, 0), tuff_transpose(g, tuff_slice(g, x, 0, l->rows, candidates)));
    tuff_tensor *logits =
        tuff_add(g, tuff_scale(g, cosine, l->scale), tuff_input(g, "absent", TUFF_F32, 1, &candidates));
    return tuff_cross_entropy_sum(g, logits, tuff_input(g, "targets", TUFF_I32, 1, &l->rows));
}

/* CosineSimilarityLoss: the squared error of the cosine. */
static tuff_tensor *cosine(const tuff_vector_loss *l, tuff_graph *g, tuff_tensor *vectors)
{
    return sum_used(l, g, square(g, tuff_sub(g, cosines(l, g, vectors, 1e-8), by_row(l, g, "scores"))));
}

/* Euclidean, [rows]; of equal vectors 0 with a gradient of 0. */
static tuff_tensor *distances(tuff_graph *g, tuff_tensor *a, tuff_tensor *b)
{
    tuff_tensor *squares = tuff_sum(g, square(g, tuff_sub(g, a, b)), 2, false);
    return tuff_sqrt(g, tuff_maximum(g, squares, one(g, 1e-24)));
}

/* TripletLoss (Schroff et al. 2015): the positive is to be nearer than the negative, by a margin. */
static tuff_tensor *triplet(const tuff_vector_loss *l, tuff_graph *g, tuff_tensor *vectors)
{
    tuff_tensor *anchor = column(l, g, vectors, 0);
    tuff_tensor *near = distances(g, anchor, column(l, g, vectors, 1)),
                *far = distances(g, anchor, column(l, g, vectors, 2));
    return sum_used(l, g, tuff_relu(g, tuff_add(g, tuff_sub(g, near, far), one(g, l->margin))));
}

/* ContrastiveLoss (Hadsell et al. 2006) of cosine distances; a score is 1 for texts that belong together. */
static tuff_tensor *contrastive(const tuff_vector_loss *l, tuff_graph *g, tuff_tensor *vectors)
{
    tuff_tensor *distance = tuff_sub(g, one(g, 1), cosines(l, g, vectors, 1e-8)),
                *together = by_row(l, g, "scores");
    tuff_tensor *near = square(g, distance),
                *far = square(g, tuff_relu(g, tuff_sub(g, one(g, l->margin), distance)));
    tuff_tensor *sum =
        tuff_add(g, tuff_mul(g, together, near), tuff_mul(g, tuff_sub(g, one(g, 1), together), far));
    return tuff_scale(g, sum_used(l, g, sum), 0.5);
}

/* CoSENTLoss (Su 2022): ln(1 + the sum of e^(s_i - s_j) over all rows i, j with score i < score j), s the
 * scaled cosines. That is the cross-entropy of the 1 among these. */
static tuff_tensor *cosent(const tuff_vector_loss *l, tuff_graph *g, tuff_tensor *vectors)
{
    const int64_t pairs[] = {l->rows, l->rows}, row[] = {1, l->rows * l->rows}, first = 1;
    tuff_tensor *s = tuff_scale(g, cosines(l, g, vectors, 1e-12), l->scale);
    tuff_tensor *differences = tuff_sub(g, tuff_reshape(g, s, 2, (int64_t[]){l->rows, 1}),
                                        tuff_reshape(g, s, 2, (int64_t[]){1, l->rows}));
    tuff_tensor *counted = tuff_add(g, differences, tuff_input(g, "order", TUFF_F32, 2, pairs));
    tuff_tensor *parts[] = {tuff_fill(g, 0, 2, (int64_t[]){1, 1}), tuff_reshape(g, counted, 2, row)};
    return tuff_cross_entropy_sum(g, tuff_concat(g, parts, 2, 1),
                                  tuff_input(g, "targets", TUFF_I32, 1, &first));
}

/* ---- by kind ---- */

static const struct rule {
    const char *name;
    tuff_tensor *(*build)(const tuff_vector_loss *loss, tuff_graph *g, tuff_tensor *vectors);
    bool scored;
} rules[] = {
#define TUFF_VECTOR_LOSS(id, name, rule, scored) {name, rule, scored},
#include "train/tasks/embedding_losses.def"
#undef TUFF_VECTOR_LOSS
};

const char *tuff_vector_loss_name(tuff_vector_loss_kind kind)
{
    return rules[kind].name;
}

bool tuff_vector_loss_scored(tuff_vector_loss_kind kind)
{
    return rules[kind].scored;
}

tuff_vector_loss_kind tuff_vector_loss_find(const char *name)
{
    int kind = 0;
    while (kind < TUFF_VECTOR_LOSSES && strcmp(rules[kind].name, name) != 0)
        kind++;
    return (tuff_vector_loss_kind)kind;
}

const char *tuff_vector_loss_names(void)
{
#define TUFF_VECTOR_LOSS(id, name, rule, scored) ", " name
    static const char names[] =
#include "train/tasks/embedding_losses.def"
        "";
#undef TUFF_VECTOR_LOSS
    return names + 2;
}

tuff_vector_loss tuff_vector_loss_of(tuff_vector_loss_kind kind, int64_t rows, int64_t columns)
{
    return (tuff_vector_loss){.kind = kind,
                              .rows = rows,
                              .columns = columns,
                              .scale = 20,
                              .margin = kind == TUFF_VECTOR_LOSS_TRIPLET ? 5 : 0.5};
}

tuff_tensor *tuff_vector_loss_build(const tuff_vector_loss *loss, tuff_graph *g, tuff_tensor *vectors)
{
    return rules[loss->kind].build(loss, g, vectors);
}

int64_t tuff_vector_loss_labels(const tuff_vector_loss *loss, int64_t count)
{
    return loss->kind == TUFF_VECTOR_LOSS_COSENT ? 1 : count;
}

size_t tuff_vector_loss_words(const tuff_vector_loss *loss)
{
    int64_t wider = loss->kind == TUFF_VECTOR_LOSS_COSENT ? loss->rows : loss->columns;
    return (size_t)(loss->rows * wider);
}

static tuff_status set_ranking(const tuff_vector_loss *l, tuff_program *program, int64_t count, void *scratch)
{
    int32_t *targets = scratch;
    float *absent = scratch;
    int64_t candidates = (l->columns - 1) * l->rows;
    for (int64_t i = 0; i < l->rows; i++)
        targets[i] = i < count ? (int32_t)i : -100;
    TUFF_TRY(tuff_program_input(program, "targets", targets, (size_t)l->rows * sizeof *targets));
    for (int64_t k = 0; k < candidates; k++)
        absent[k] = k % l->rows < count ? 0 : NEVER;
    return tuff_program_input(program, "absent", absent, (size_t)candidates * sizeof *absent);
}

static tuff_status set_order(const tuff_vector_loss *l, tuff_program *program, int64_t count,
                             const float *scores, float *order)
{
    const int32_t target = 0;
    for (int64_t i = 0; i < l->rows; i++)
        for (int64_t j = 0; j < l->rows; j++)
            order[i * l->rows + j] = i < count && j < count && scores[i] < scores[j] ? 0 : NEVER;
    TUFF_TRY(tuff_program_input(program, "targets", &target, sizeof target));
    return tuff_program_input(program, "order", order, (size_t)(l->rows * l->rows) * sizeof *order);
}

tuff_status tuff_vector_loss_set(const tuff_vector_loss *l, tuff_program *program, int64_t count,
                                 const float *scores, void *scratch)
{
    float *by_row = scratch;
    size_t bytes = (size_t)l->rows * sizeof *by_row;
    if (l->kind == TUFF_VECTOR_LOSS_RANKING) return set_ranking(l, program, count, scratch);
    if (l->kind == TUFF_VECTOR_LOSS_COSENT) return set_order(l, program, count, scores, scratch);
    for (int64_t i = 0; i < l->rows; i++)
        by_row[i] = i < count;
    TUFF_TRY(tuff_program_input(program, "used", by_row, bytes));
    if (!rules[l->kind].scored) return TUFF_OK;
    for (int64_t i = 0; i < l->rows; i++)
        by_row[i] = i < count ? scores[i] : 0;
    return tuff_program_input(program, "scores", by_row, bytes);
}
