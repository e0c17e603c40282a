/* Semantic textual similarity: are texts near that people call alike? */
#include <math.h>
#include <tuff/measure.h>

#include "base/memory.h"
#include "base/structs.h"
#include "base/watch.h"
#include "embed/embedder.h"
#include "train/metrics.h"
#include "train/pairs.h"

enum { PIECE = 512 }; /* rows that are embedded at a time */

typedef struct work {
    tuff_embedder *embedder;
    const char *prompt;
    tuff_watched work;      /* in texts */
    tuff_watched_call call; /* what embeds a part of them */
    tuff_pairs pairs;
    float *vectors; /* [2 * PIECE, dimensions] */
    double *cosines;
    int64_t truncated;
} work;

static double cosine(const float *a, const float *b, int64_t n)
{
    double aa = 0, bb = 0, ab = 0;
    for (int64_t i = 0; i < n; i++) {
        aa += (double)a[i] * (double)a[i];
        bb += (double)b[i] * (double)b[i];
        ab += (double)a[i] * (double)b[i];
    }
    double length = sqrt(aa) * sqrt(bb);
    return length != 0 ? ab / length : 0; /* NaN stays NaN */
}

/* The cosines of rows first .. first + n. */
static tuff_status measure_piece(work *w, size_t first, size_t n)
{
    const char *texts[2 * PIECE];
    size_t sizes[2 * PIECE];
    for (size_t i = 0; i < 2 * n; i++) {
        tuff_view text = tuff_pairs_at(&w->pairs, first + i / 2, i % 2);
        texts[i] = text.data;
        sizes[i] = text.size;
    }
    tuff_embed_params params = TUFF_EMBED_PARAMS_INIT;
    tuff_embed_result result = TUFF_EMBED_RESULT_INIT;
    params.prompt = w->prompt;
    params.watch = &w->call.each;
    TUFF_TRY(tuff_embed(w->embedder, texts, sizes, 2 * n, &params, w->vectors, &result));
    w->truncated += result.truncated;
    int64_t d = w->embedder->dimensions;
    for (size_t i = 0; i < n; i++) {
        const float *pair = w->vectors + (int64_t)(2 * i) * d;
        w->cosines[first + i] = cosine(pair, pair + d, d);
    }
    return TUFF_OK;
}

static tuff_status check_scores(const tuff_pairs *p, const char *path)
{
    if (p->rows < 2)
        return tuff_fail(TUFF_INVALID_ARGUMENT,
                         "%s has %zu pair%s of texts; a correlation needs at least two", path, p->rows,
                         p->rows == 1 ? "" : "s");
    for (size_t i = 1; i < p->rows; i++)
        if (p->scores[i] != p->scores[0]) return TUFF_OK;
    return tuff_fail(TUFF_INVALID_ARGUMENT, "%s: all scores are %g; a correlation needs scores that differ",
                     path, p->scores[0]);
}

static tuff_status measure(work *w, const char *path, const tuff_sts_params *p, tuff_sts_result *out)
{
    const char *columns[] = {p->sentence1 ? p->sentence1 : "sentence1",
                             p->sentence2 ? p->sentence2 : "sentence2"};
    TUFF_TRY(tuff_pairs_read(path, columns, 2, p->score ? p->score : "score", &w->pairs));
    TUFF_TRY(check_scores(&w->pairs, path));
    size_t rows = w->pairs.rows;
    w->vectors = tuff_alloc_array((size_t)(2 * PIECE * w->embedder->dimensions), sizeof *w->vectors);
    w->cosines = tuff_alloc_array(rows, sizeof *w->cosines);
    if (!w->vectors || !w->cosines) return tuff_fail_memory("an evaluation");
    w->work.total = 2 * rows;
    TUFF_TRY(tuff_watched_tell(&w->work));
    for (size_t at = 0; at < rows; at += PIECE) {
        const size_t n = rows - at < PIECE ? rows - at : PIECE;
        w->work.part = 2 * n;
        TUFF_TRY(measure_piece(w, at, n));
        TUFF_TRY(tuff_watched_add(&w->work, 2 * n));
    }
    TUFF_TRY(tuff_spearman(w->cosines, w->pairs.scores, rows, &out->spearman));
    out->pearson = tuff_pearson(w->cosines, w->pairs.scores, rows);
    out->pairs = (int64_t)rows;
    out->truncated = w->truncated;
    return TUFF_OK;
}

tuff_status tuff_measure_sts(tuff_embedder *embedder, const char *path, const tuff_sts_params *params,
                             tuff_sts_result *out_result)
{
    TUFF_NEED(embedder);
    TUFF_NEED(path);
    tuff_sts_params p = TUFF_STS_PARAMS_INIT;
    tuff_sts_result result = TUFF_STS_RESULT_INIT;
    TUFF_TRY(TUFF_GIVE(out_result, &result, TUFF_STS_RESULT_INIT, truncated));
    TUFF_TRY(TUFF_TAKE(&p, params, TUFF_STS_PARAMS_INIT, watch));
    TUFF_TRY(tuff_watch_check(p.watch));
    work w = {
        .embedder = embedder,
        .prompt = p.prompt,
        .work = {.watch = p.watch ? p.watch : embedder->watch, .phase = TUFF_PHASE_EMBED, .unit = "texts"}};
    tuff_watched_call_begin(&w.call, &w.work);
    tuff_status status = measure(&w, path, &p, &result);
    tuff_pairs_free(&w.pairs);
    tuff_free(w.vectors);
    tuff_free(w.cosines);
    TUFF_TRY(status);
    return TUFF_GIVE(out_result, &result, TUFF_STS_RESULT_INIT, truncated);
}
