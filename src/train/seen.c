/* Reports: what they are told, when the page is written. */
#include "train/seen.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "base/os.h"
#include "base/status.h"
#include "base/structs.h"

static tuff_status write_page(tuff_train_report *r)
{
    tuff_buf text = {0};
    const uint64_t began = tuff_now_ns();
    if (!r->page) return TUFF_OK;
    tuff_report_page(r, &text);
    tuff_status status = text.failed ? tuff_fail_memory("the page of a training")
                                     : tuff_write_file(r->page, text.data, text.size);
    tuff_buf_free(&text);
    r->written_ns = tuff_now_ns();
    r->cost = r->written_ns - began;
    return status;
}

/* Now and then, so that the page takes no time from the training. */
static tuff_status keep_current(tuff_train_report *r)
{
    enum { SHARE = 50 };
    const double since = (double)(tuff_now_ns() - r->written_ns), least = r->interval * 1e9;
    return since < least || since < SHARE * (double)r->cost ? TUFF_OK : write_page(r);
}

/* ---- what it is told */

static void tell_args(tuff_train_report *r)
{
    tuff_buf text = {0};
    if (r->args_told || !r->n_facts) return;
    r->args_told = true;
    for (size_t i = 0; i < r->n_facts; i++) /* by four blanks it is shown as it is */
        tuff_buf_printf(&text, "    %s: %s\n", r->facts[i].name, r->facts[i].value);
    if (!text.failed) tuff_events_text(r->events, "args/text_summary", text.data, text.size);
    tuff_buf_free(&text);
}

tuff_status tuff_report_take_step(tuff_train_report *r, const tuff_train_step *s)
{
    const bool timed = s->seconds > 0 && r->here > 0; /* the first makes kernels ready */
    const double values[TUFF_CURVES] = {s->loss, s->learning_rate, s->grad_norm};
    tuff_history_add(&r->history, s->step, s->epoch, values, (double)s->tokens, timed ? s->seconds : 0);
    r->step = s->step;
    r->epoch = s->epoch;
    r->tokens += s->tokens;
    if (s->skipped && r->n_skips < TUFF_REPORT_SKIPS)
        r->skips[r->n_skips++] = (tuff_report_skip){s->step, isfinite(s->grad_norm)};
    r->skipped += s->skipped;
    if (timed) {
        r->seconds += s->seconds;
        r->timed_tokens += s->tokens;
        r->timed++;
    }
    if (!r->events) return TUFF_OK;
    tuff_events_begin(r->events);
    tell_args(r);
    if (isfinite(s->loss)) tuff_events_scalar(r->events, "train/loss", s->loss);
    tuff_events_scalar(r->events, "train/grad_norm", s->grad_norm);
    tuff_events_scalar(r->events, "train/learning_rate", s->learning_rate);
    tuff_events_scalar(r->events, "train/epoch", s->epoch);
    if (timed) tuff_events_scalar(r->events, "train/tokens_per_second", (double)s->tokens / s->seconds);
    return tuff_events_write(r->events, s->step);
}

tuff_status tuff_report_take_eval(tuff_train_report *r, int64_t step, const tuff_eval_result *e)
{
    if (r->n_evals == TUFF_REPORT_EVALS) { /* the newest stays */
        for (size_t i = 0; i < TUFF_REPORT_EVALS / 2; i++)
            r->evals[i] = r->evals[2 * i + 1];
        r->n_evals /= 2;
    }
    r->evals[r->n_evals++] = (tuff_report_eval){step, *e};
    if (e->tokens && isfinite(e->loss) && (r->best < 0 || e->loss < r->best_loss)) {
        r->best = step;
        r->best_loss = e->loss;
    }
    if (!r->events) return TUFF_OK;
    tuff_events_begin(r->events);
    if (e->tokens) tuff_events_scalar(r->events, "eval/loss", e->loss);
    if (e->perplexity > 0) tuff_events_scalar(r->events, "eval/perplexity", e->perplexity);
    for (int64_t i = 0; i < e->count; i++) {
        char tag[64];
        snprintf(tag, sizeof tag, "eval/%s", e->figures[i].name);
        tuff_events_scalar(r->events, tag, e->figures[i].value);
    }
    return tuff_events_write(r->events, step);
}

static char *copy(tuff_view text)
{
    char *to = tuff_alloc(text.size + 1);
    if (to) memcpy(to, text.data, text.size);
    return to;
}

static tuff_status find_prompt(tuff_train_report *r, tuff_view prompt, size_t *out)
{
    for (*out = 0; *out < r->n_prompts; ++*out) {
        const tuff_report_prompt *p = &r->prompts[*out];
        if (tuff_view_equal((tuff_view){p->text, p->size}, prompt)) return TUFF_OK;
    }
    char *text = copy(prompt);
    if (!text || !tuff_grow((void **)&r->prompts, r->n_prompts, &r->prompts_capacity, sizeof *r->prompts)) {
        tuff_free(text);
        return tuff_fail_memory("a sample");
    }
    r->prompts[r->n_prompts++] = (tuff_report_prompt){text, prompt.size};
    return TUFF_OK;
}

/* Where there are too many, every second round goes, but the first and the newest. */
static void thin_samples(tuff_train_report *r)
{
    size_t n = 0;
    int64_t round = 0, step = r->samples[0].step;
    const int64_t last = r->samples[r->n_samples - 1].step;
    for (size_t i = 0; i < r->n_samples; i++) {
        const tuff_report_sample s = r->samples[i];
        round += s.step != step;
        step = s.step;
        if (round % 2 == 0 || (s.step == last && i + 1 == r->n_samples))
            r->samples[n++] = s;
        else
            tuff_free(s.text);
    }
    if (n == TUFF_REPORT_SAMPLES) tuff_free(r->samples[--n].text); /* one round of them all */
    r->n_samples = n;
}

tuff_status tuff_report_take_sample(tuff_train_report *r, int64_t step, tuff_view prompt, tuff_view text)
{
    size_t number;
    TUFF_TRY(find_prompt(r, prompt, &number));
    const size_t most = text.size < TUFF_REPORT_TEXT ? text.size : TUFF_REPORT_TEXT;
    const tuff_view kept = {text.data, most < text.size ? tuff_utf8_complete(text.data, most) : most};
    char *own = copy(kept);
    if (!own) return tuff_fail_memory("a sample");
    if (r->n_samples == TUFF_REPORT_SAMPLES) thin_samples(r);
    r->samples[r->n_samples++] = (tuff_report_sample){step, number, own, kept.size};
    if (!r->events) return TUFF_OK;
    char tag[64];
    tuff_buf shown = {0};
    snprintf(tag, sizeof tag, "samples/%zu/text_summary", number + 1);
    for (int part = 0; part < 2; part++) { /* lines of their own, shown as they are */
        const tuff_view v = part ? text : prompt;
        tuff_buf_text(&shown, part ? "\n\n    " : "    ");
        for (size_t i = 0; i < v.size; i++) {
            tuff_buf_char(&shown, v.data[i]);
            if (v.data[i] == '\n') tuff_buf_text(&shown, "    ");
        }
    }
    tuff_events_begin(r->events);
    if (!shown.failed) tuff_events_text(r->events, tag, shown.data, shown.size);
    tuff_status status = shown.failed ? tuff_fail_memory("a sample") : tuff_events_write(r->events, step);
    tuff_buf_free(&shown);
    return status;
}

/* ---- the public functions */

static char *copy_of(const char *text)
{
    return text ? tuff_strdup(text) : NULL;
}

static tuff_status build(tuff_train_report *r, const tuff_train_report_params *p)
{
    enum { USUAL = 2 };
    bool first = false;
    r->best = -1;
    r->interval = p->interval > 0 ? p->interval : USUAL;
    r->total_steps = p->total_steps;
    tuff_utc_now(r->began);
    r->title = tuff_strdup(p->title ? p->title : "Training");
    r->page = copy_of(p->page);
    if (!r->title || (p->page && !r->page)) return tuff_fail_memory("the report of a training");
    if (p->device) r->device = *tuff_device_get_info(p->device);
    if (p->events) TUFF_TRY(tuff_events_open(p->events, p->done_steps, &r->events, &first));
    if (p->log) {
        tuff_events *events = r->events; /* which have it already, from an earlier process */
        if (!first) r->events = NULL;
        tuff_status status = tuff_report_read_log(r, p->log);
        r->events = events;
        if (status != TUFF_OK) tuff_events_remove(&r->events);
        TUFF_TRY(status);
    }
    return write_page(r);
}

tuff_status tuff_train_report_create(const tuff_train_report_params *params, tuff_train_report **out_report)
{
    TUFF_NEED_OUT(out_report);
    TUFF_NEED(params);
    tuff_train_report_params p = TUFF_TRAIN_REPORT_PARAMS_INIT;
    TUFF_TRY(TUFF_TAKE(&p, params, TUFF_TRAIN_REPORT_PARAMS_INIT, interval));
    if (!p.page && !p.events)
        return tuff_fail(TUFF_INVALID_ARGUMENT,
                         "a report of a training wants a page, or a directory for events, and has neither");
    tuff_train_report *r = tuff_alloc(sizeof *r);
    if (!r) return tuff_fail_memory("the report of a training");
    tuff_status status = build(r, &p);
    if (status != TUFF_OK)
        tuff_train_report_destroy(&r);
    else
        *out_report = r;
    return status;
}

void tuff_train_report_destroy(tuff_train_report **report)
{
    if (!report || !*report) return;
    tuff_train_report *r = *report;
    tuff_events_close(&r->events);
    for (size_t i = 0; i < r->n_facts; i++) {
        tuff_free(r->facts[i].group);
        tuff_free(r->facts[i].name);
        tuff_free(r->facts[i].value);
    }
    for (size_t i = 0; i < r->n_samples; i++)
        tuff_free(r->samples[i].text);
    for (size_t i = 0; i < r->n_prompts; i++)
        tuff_free(r->prompts[i].text);
    tuff_report_free_data(r);
    tuff_free(r->facts);
    tuff_free(r->prompts);
    tuff_free(r->page);
    tuff_free(r->title);
    tuff_free(r->why);
    tuff_free(r);
    *report = NULL;
}

tuff_status tuff_train_report_fact(tuff_train_report *r, const char *group, const char *name,
                                   const char *value)
{
    TUFF_NEED(r);
    TUFF_NEED(group);
    TUFF_NEED(name);
    TUFF_NEED(value);
    if (r->n_facts == TUFF_REPORT_FACTS)
        return tuff_fail(TUFF_INVALID_ARGUMENT, "a report has room for %d facts", TUFF_REPORT_FACTS);
    tuff_report_fact fact = {tuff_strdup(group), tuff_strdup(name), tuff_strdup(value)};
    if (fact.group && fact.name && fact.value &&
        tuff_grow((void **)&r->facts, r->n_facts, &r->facts_capacity, sizeof fact)) {
        r->facts[r->n_facts++] = fact;
        return TUFF_OK;
    }
    tuff_free(fact.group);
    tuff_free(fact.name);
    tuff_free(fact.value);
    return tuff_fail_memory("a fact of a report");
}

/* Both are tried; the first failure counts. */
static tuff_status and_page(tuff_train_report *r, tuff_status taken)
{
    return taken == TUFF_OK ? keep_current(r) : taken;
}

tuff_status tuff_train_report_step(tuff_train_report *r, const tuff_train_step *step)
{
    TUFF_NEED(r);
    TUFF_NEED(step);
    tuff_train_step s = TUFF_TRAIN_STEP_INIT;
    TUFF_TRY(TUFF_TAKE(&s, step, TUFF_TRAIN_STEP_INIT, tokens));
    tuff_status status = tuff_report_take_step(r, &s);
    r->here++;
    return and_page(r, status);
}

tuff_status tuff_train_report_eval(tuff_train_report *r, int64_t step, const tuff_eval_result *result)
{
    TUFF_NEED(r);
    TUFF_NEED(result);
    tuff_eval_result e = TUFF_EVAL_RESULT_INIT;
    TUFF_TRY(TUFF_TAKE(&e, result, TUFF_EVAL_RESULT_INIT, tokens));
    if (e.count < 0 || e.count > TUFF_EVAL_FIGURES)
        return tuff_fail(TUFF_INVALID_ARGUMENT, "an evaluation has %lld figures, expected 0 to %d",
                         (long long)e.count, TUFF_EVAL_FIGURES);
    return and_page(r, tuff_report_take_eval(r, step, &e));
}

tuff_status tuff_train_report_sample(tuff_train_report *r, int64_t step, const char *prompt,
                                     size_t prompt_size, const char *text, size_t text_size)
{
    TUFF_NEED(r);
    TUFF_NEED_MANY(prompt, prompt_size);
    TUFF_NEED_MANY(text, text_size);
    return and_page(
        r, tuff_report_take_sample(r, step, (tuff_view){prompt, prompt_size}, (tuff_view){text, text_size}));
}

tuff_status tuff_train_report_end(tuff_train_report *r, tuff_training_end end, const char *why)
{
    TUFF_NEED(r);
    TUFF_NEED(why);
    char *text = tuff_strdup(why);
    if (!text) return tuff_fail_memory("the end of a report");
    tuff_free(r->why);
    r->why = text;
    r->end = end;
    r->ended = true;
    return write_page(r);
}
