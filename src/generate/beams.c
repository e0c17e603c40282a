#include "generate/beams.h"

#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "text/sampler.h"

/* What transformers takes for the score of what is none. */
static const double never = -1e9;

/* A text so far: `length` ids after those that all begin with. */
typedef struct beam {
    int32_t *ids;
    int64_t length;
    double score; /* the sum of its tokens' log-probabilities; of one that ended, by its length */
    int64_t slot; /* that has its keys, but for its last token's */
    bool ended;
} beam;

/* A beam that goes on with a token. */
typedef struct step {
    int64_t parent;
    int32_t id;
    double score;
    bool ends;
} step;

typedef struct search {
    tuff_runner *runner;
    tuff_sequence *s;          /* the first of all */
    tuff_sequence *const *all; /* [n]: who gets the best texts */
    size_t n;
    const tuff_watch *watch;
    tuff_watched work;      /* of which the next run is a part */
    int64_t width, most;    /* beams; tokens of a text */
    int64_t steps;          /* that are looked at, the best first */
    int64_t length;         /* of all running ones */
    beam *running, *spare;  /* [width] each */
    beam *found, *merged;   /* [width] that ended, the best first; [width + steps] */
    step *best;             /* [steps] */
    double *log_sums;       /* [width] */
    double *scores;         /* [vocab]: log-probabilities of a beam's next token */
    int64_t *used;          /* [width]: rows of slots in use */
    int64_t *encoded;       /* [width]: of their sources; all have that of the first */
    beam *held;             /* [width]: what the slots hold */
    tuff_feed *feeds;       /* [width] */
    tuff_move *moves;       /* [width] */
    int32_t *words;         /* of all ids */
    bool can_improve, over; /* over: no running one can go on */
} search;

/* ---- memory */

static void free_search(search *w)
{
    tuff_free(w->running);
    tuff_free(w->best);
    tuff_free(w->log_sums);
    tuff_free(w->scores);
    tuff_free(w->used);
    tuff_free(w->encoded);
    tuff_free(w->feeds);
    tuff_free(w->moves);
    tuff_free(w->words);
}

static tuff_status make_room(search *w)
{
    const size_t width = (size_t)w->width, beams = 5 * width + (size_t)w->steps;
    w->running = tuff_alloc_array(beams, sizeof *w->running);
    w->best = tuff_alloc_array((size_t)w->steps, sizeof *w->best);
    w->log_sums = tuff_alloc_array(width, sizeof *w->log_sums);
    w->scores = tuff_alloc_array((size_t)w->runner->model->config.vocab_size, sizeof *w->scores);
    w->used = tuff_alloc_array(width, sizeof *w->used);
    w->encoded = tuff_alloc_array(width, sizeof *w->encoded);
    w->feeds = tuff_alloc_array(width, sizeof *w->feeds);
    w->moves = tuff_alloc_array(width, sizeof *w->moves);
    w->words = tuff_alloc_array(beams * (size_t)w->most, sizeof *w->words);
    if (!w->running || !w->best || !w->log_sums || !w->scores || !w->used || !w->encoded || !w->feeds ||
        !w->moves || !w->words)
        return tuff_fail_memory("a search with beams");
    w->spare = w->running + width;
    w->found = w->spare + width;
    w->held = w->found + width;
    w->merged = w->held + width;
    for (size_t i = 0; i < beams; i++)
        w->running[i] = (beam){.ids = w->words + i * (size_t)w->most, .score = never};
    return TUFF_OK;
}

/* Copies what a beam is, ids and all. */
static void copy(beam *to, const beam *from)
{
    int32_t *ids = to->ids;
    *to = *from;
    to->ids = ids;
    memcpy(ids, from->ids, (size_t)from->length * sizeof *ids);
}

/* ---- runs of the model */

static tuff_status reserve(search *w, int64_t positions)
{
    const tuff_sequence *s = w->s;
    const tuff_room room = {.slots = w->width,
                            .positions = positions,
                            .most = s->given + w->most - 1,
                            .kept = w->width,
                            .used = w->used,
                            .sources = s->source ? 1 : 0,
                            .source = (int64_t)s->source_count,
                            .encoded = w->encoded};
    w->encoded[0] = s->encoded ? (int64_t)s->source_count : 0;
    if (w->runner->most_slots < w->width) w->runner->most_slots = w->width;
    return tuff_runner_reserve(w->runner, &room, w->watch);
}

/* The prompt, in the first slot. */
static tuff_status run_prompt(search *w)
{
    tuff_sequence *s = w->s;
    TUFF_TRY(reserve(w, s->given));
    tuff_sequence_begin(s);
    w->work = (tuff_watched){
        .watch = s->watch ? s->watch : w->watch, .phase = TUFF_PHASE_PROMPT, .total = (uint64_t)s->given};
    if (s->source) {
        TUFF_TRY(tuff_runner_encode(w->runner, 0, s->source, (int64_t)s->source_count, &w->work));
        s->encoded = true;
    }
    for (int64_t done = 0; done < s->given;) {
        const int64_t left = s->given - done, count = left < TUFF_PIECE_TOKENS ? left : TUFF_PIECE_TOKENS;
        const tuff_feed feed = {
            .start = done, .count = count, .ids = s->ids + done, .source = (int64_t)s->source_count};
        w->work.done = (uint64_t)done;
        w->work.part = (uint64_t)count;
        TUFF_TRY(tuff_watched_tell(&w->work));
        TUFF_TRY(tuff_runner_run(w->runner, &feed, 1, &w->work));
        done += count;
    }
    w->used[0] = s->given;
    return tuff_runner_wait(w->runner);
}

/* The last token of each. */
static tuff_status run_beams(search *w)
{
    const tuff_sequence *s = w->s;
    TUFF_TRY(reserve(w, s->given + w->length));
    for (int64_t i = 0; i < w->width; i++) {
        beam *b = &w->running[i];
        w->feeds[i] = (tuff_feed){.slot = b->slot,
                                  .start = s->given + b->length - 1,
                                  .count = 1,
                                  .ids = b->ids + b->length - 1,
                                  .source = (int64_t)s->source_count};
        w->used[b->slot] = s->given + b->length;
        copy(&w->held[b->slot], b);
    }
    TUFF_TRY(tuff_runner_run(w->runner, w->feeds, (size_t)w->width, &w->work));
    return tuff_runner_wait(w->runner);
}

/* ---- what to go on with */

static const float *logits_of(const search *w, int64_t i)
{
    /* all begin with the prompt */
    return w->runner->logits + (w->length ? i : 0) * w->runner->model->config.vocab_size;
}

/* The logarithm of the sum of exponentials, by which logits become log-probabilities. */
static tuff_status sum_up(search *w)
{
    const int64_t vocab = w->runner->model->config.vocab_size;
    for (int64_t i = 0; i < w->width; i++) {
        const float *x = logits_of(w, i);
        for (int64_t k = 0; k < vocab; k++)
            if (!isfinite(x[k]))
                return tuff_fail(TUFF_NOT_FINITE, "the model gives %s for token %lld",
                                 isnan(x[k]) ? "NaN" : "Inf", (long long)k);
        w->log_sums[i] = tuff_log_sum(x, vocab);
    }
    return TUFF_OK;
}

/* Into the best steps, of which there are n; equal ones stay in the order in which they come. */
static int64_t insert(search *w, int64_t n, const step *one)
{
    int64_t at = n;
    while (at > 0 && w->best[at - 1].score < one->score)
        at--;
    if (at == w->steps) return n;
    if (n < w->steps) n++;
    memmove(&w->best[at + 1], &w->best[at], (size_t)(n - 1 - at) * sizeof *w->best);
    w->best[at] = *one;
    return n;
}

/* Log-probabilities of what a beam may go on with, as biases, penalties and n-grams change them. */
static tuff_status score(search *w, int64_t i)
{
    const float *x = logits_of(w, i);
    const beam *b = &w->running[i];
    tuff_sampler *sampler = w->s->sampler;
    for (int64_t k = 0; k < w->runner->model->config.vocab_size; k++)
        w->scores[k] = (double)x[k] - w->log_sums[i];
    if (!tuff_sampler_changes(sampler)) return TUFF_OK;
    tuff_sampler_reset(sampler);
    for (int64_t k = 0; k < w->s->given; k++)
        tuff_sampler_prompt(sampler, w->s->ids[k]);
    for (int64_t k = 0; k < b->length; k++)
        tuff_sampler_accept(sampler, b->ids[k]);
    return tuff_sampler_change(sampler, w->scores);
}

static tuff_status choose_best(search *w)
{
    const int64_t vocab = w->runner->model->config.vocab_size;
    const int32_t only = tuff_sequence_forced(w->s, w->length);
    int64_t n = 0;
    for (int64_t i = 0; i < w->width; i++) {
        TUFF_TRY(score(w, i));
        for (int64_t k = 0; k < vocab; k++) {
            step one = {.parent = i, .id = (int32_t)k, .score = w->running[i].score};
            if (only >= 0)
                one.score += k == only ? 0 : -INFINITY;
            else
                one.score += w->scores[k];
            if (n < w->steps || one.score > w->best[n - 1].score) n = insert(w, n, &one);
        }
    }
    for (int64_t i = 0; i < w->steps; i++)
        w->best[i].ends = tuff_sequence_is_end(w->s, w->best[i].id) || w->length + 1 >= w->most;
    return TUFF_OK;
}

static void go_on(const search *w, const step *one, beam *out)
{
    copy(out, &w->running[one->parent]);
    out->ids[out->length++] = one->id;
    out->score = one->score;
}

/* Steps that end their texts, if they are among the best, take part in the ranking of those that ended. */
static void rank(search *w)
{
    const tuff_generate_params *p = &w->s->params;
    bool full = p->early_stopping == TUFF_EARLY_STOPPING_YES;
    int64_t n = 0;
    for (int64_t i = 0; i < w->width; i++)
        full = full && w->found[i].ended;
    for (int64_t i = 0; i < w->width; i++)
        copy(&w->merged[n++], &w->found[i]);
    for (int64_t i = 0; i < w->width && i < w->steps; i++) {
        if (!w->best[i].ends || full || !w->can_improve) continue;
        beam *b = &w->merged[n++];
        go_on(w, &w->best[i], b);
        b->score /= pow((double)b->length, p->length_penalty);
        b->ended = true;
    }
    for (int64_t i = 0; i < w->width; i++) {
        int64_t best = -1;
        for (int64_t k = 0; k < n; k++)
            if (!isnan(w->merged[k].score) && (best < 0 || w->merged[k].score > w->merged[best].score))
                best = k;
        copy(&w->found[i], &w->merged[best]);
        w->merged[best].score = NAN; /* taken */
    }
}

/* A slot for each new beam: its parent's, or one whose text nobody goes on with, which is given what it
 * lacks. */
static tuff_status move(search *w)
{
    size_t n = 0;
    bool taken[TUFF_MOST_BEAMS] = {false};
    int64_t other = 0;
    const int64_t given = w->s->given;
    for (int64_t i = 0; i < w->width; i++) {
        beam *b = &w->running[i];
        const int64_t parent = b->slot;
        b->slot = taken[parent] ? -1 - parent : parent;
        taken[parent] = true;
    }
    for (int64_t i = 0; i < w->width; i++) {
        beam *b = &w->running[i];
        if (b->slot >= 0) continue;
        const int64_t parent = -1 - b->slot;
        while (taken[other])
            other++;
        taken[other] = true;
        b->slot = other;
        int64_t same = w->used[other] ? given : 0;
        for (int64_t k = 0; same >= given && k < w->held[other].length && k < b->length - 1; k++) {
            if (w->held[other].ids[k] != b->ids[k]) break;
            same++;
        }
        w->moves[n++] = (tuff_move){.from = parent, .to = other, .begin = same, .end = given + b->length - 1};
    }
    for (size_t i = 0; i < n; i++)
        w->used[w->moves[i].to] = w->moves[i].end;
    return tuff_runner_move(w->runner, w->moves, n, &w->work);
}

/* The best steps that do not end; where there are too few, those that do with the score of none. */
static tuff_status take_steps(search *w)
{
    int64_t n = 0;
    for (int ends = 0; ends < 2; ends++)
        for (int64_t i = 0; i < w->steps && n < w->width; i++) {
            if (w->best[i].ends != (ends == 1)) continue;
            beam *b = &w->spare[n++];
            go_on(w, &w->best[i], b);
            if (ends) b->score += never;
        }
    for (int64_t i = 0; i < w->width; i++)
        copy(&w->running[i], &w->spare[i]);
    w->length++;
    return w->over ? TUFF_OK : move(w);
}

/* Whether the best running one can still come before one that ended. */
static void judge(search *w)
{
    const tuff_generate_params *p = &w->s->params;
    /* as transformers has it: by its score so far and its own length; where the search never stops early by
     * the greatest length, which makes most of a score below 0 */
    const bool longest = p->early_stopping == TUFF_EARLY_STOPPING_NEVER && p->length_penalty > 0;
    const double possible =
        w->running[0].score / pow((double)(longest ? w->most : w->length), p->length_penalty);
    bool all_ended = true, better = false;
    for (int64_t i = 0; i < w->width; i++) {
        all_ended = all_ended && w->found[i].ended;
        better = better || possible > (w->found[i].ended ? w->found[w->width - 1].score : never);
    }
    w->can_improve = w->can_improve && better;
    if (!w->can_improve || (all_ended && p->early_stopping == TUFF_EARLY_STOPPING_YES)) w->over = true;
}

static tuff_status search_on(search *w)
{
    tuff_sequence *s = w->s;
    w->work = (tuff_watched){.watch = s->watch ? s->watch : w->watch,
                             .phase = TUFF_PHASE_GENERATE,
                             .done = (uint64_t)w->length,
                             .total = (uint64_t)w->most};
    TUFF_TRY(tuff_watched_tell(&w->work));
    TUFF_TRY(sum_up(w));
    TUFF_TRY(choose_best(w));
    rank(w);
    w->over = true;
    for (int64_t i = 0; i < w->steps; i++)
        w->over = w->over && w->best[i].ends;
    TUFF_TRY(take_steps(w));
    judge(w);
    return w->over ? TUFF_OK : run_beams(w);
}

static tuff_status run(search *w)
{
    TUFF_TRY(make_room(w));
    w->running[0].score = 0;
    for (size_t i = 1; i < w->n; i++)
        tuff_sequence_begin(w->all[i]);
    TUFF_TRY(run_prompt(w));
    for (size_t i = 0; i < w->n; i++)
        tuff_sequence_started(w->all[i]);
    while (!w->over)
        TUFF_TRY(search_on(w));
    for (size_t i = 0; i < w->n; i++)
        if (!w->found[i].ended)
            return tuff_fail(
                TUFF_INVALID_ARGUMENT,
                "%s forbidden: logit biases and n-grams that may not come again leave %zu; forbid less",
                i ? "too many texts are" : "every text is", i);
    for (size_t i = 0; i < w->n; i++)
        TUFF_TRY(tuff_sequence_take_all(w->all[i], w->found[i].ids, w->found[i].length));
    return TUFF_OK;
}

tuff_status tuff_beams_find(tuff_batcher *b, tuff_sequence *const *sequences, size_t n,
                            const tuff_watch *watch)
{
    tuff_sequence *s = sequences[0];
    const tuff_config *c = &s->model->config;
    const int64_t width = s->params.num_beams;
    const int64_t ends = (int64_t)(s->params.eos_id_count + (s->params.ignore_eos ? 0 : c->tokens.eos_count));
    search w = {.runner = b->runner,
                .s = s,
                .all = sequences,
                .n = n,
                .watch = watch,
                .width = width,
                .can_improve = true};
    w.most = s->context - s->given;
    if (s->params.max_new_tokens && s->params.max_new_tokens < w.most) w.most = s->params.max_new_tokens;
    w.steps = (ends > 1 ? 1 + ends : 2) * width;
    if (w.steps > width * c->vocab_size) w.steps = width * c->vocab_size;
    tuff_batcher_forget(b);
    tuff_status status = run(&w);
    free_search(&w);
    return status;
}

tuff_status tuff_beams_run(tuff_batcher *b, tuff_sequence *s, const tuff_watch *watch)
{
    return tuff_beams_find(b, &s, 1, watch);
}
