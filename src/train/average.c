/* Exponential moving averages of what is trained, as diffusers' EMAModel has them. */
#include <math.h>
#include <stdio.h>

#include "base/memory.h"
#include "runtime/device.h"
#include "runtime/program.h"
#include "train/trainer.h"

static tuff_status average_name(const char *of, tuff_buf *out)
{
    tuff_buf_clear(out);
    tuff_buf_printf(out, TUFF_LM_AVERAGE_PREFIX "%s", of);
    return out->failed ? tuff_fail_memory("averages") : TUFF_OK;
}

static tuff_status copy(tuff_buffer *from, tuff_buffer *to)
{
    enum { PIECE = 1 << 20 }; /* elements */
    const int64_t n = tuff_buffer_count(from);
    float *values = tuff_alloc_array(n < PIECE ? (size_t)n : PIECE, sizeof *values);
    tuff_status status = values ? TUFF_OK : tuff_fail_memory("averages");
    for (int64_t at = 0; at < n && status == TUFF_OK; at += PIECE) {
        const int64_t some = n - at < PIECE ? n - at : PIECE;
        status = tuff_buffer_read(from, at, values, some);
        if (status == TUFF_OK) status = tuff_buffer_write(to, at, values, some);
    }
    tuff_free(values);
    return status;
}

tuff_status tuff_trainer_begin_average(tuff_trainer *t, const char *name)
{
    tuff_store *store = tuff_session_store(t->runs.session);
    tuff_buf average = {0};
    tuff_status status = average_name(name, &average);
    if (status == TUFF_OK) status = copy(tuff_store_find(store, name), tuff_store_find(store, average.data));
    tuff_buf_free(&average);
    return status;
}

tuff_status tuff_trainer_add_averages(tuff_trainer *t)
{
    tuff_store *store = tuff_session_store(t->runs.session);
    tuff_buf name = {0};
    tuff_status status = TUFF_OK;
    for (size_t i = 0; t->average && i < tuff_lm_trained_count(&t->runs.lm) && status == TUFF_OK; i++) {
        const tuff_trained x = tuff_lm_trained(&t->runs.lm, i);
        status = average_name(x.name, &name);
        if (status == TUFF_OK) status = tuff_store_add(store, name.data, TUFF_F32, x.rank, x.shape, NULL);
        if (status == TUFF_OK) status = tuff_trainer_begin_average(t, x.name);
    }
    tuff_buf_free(&name);
    return status;
}

tuff_status tuff_trainer_plan_averages(tuff_trainer *t)
{
    if (!t->runs.lm.averaged) return TUFF_OK;
    TUFF_TRY(tuff_runs_plan(&t->runs, TUFF_LM_AVERAGE, t->data, NULL, 0, &t->average));
    tuff_session_keep(t->runs.session, t->average);
    t->transfers += tuff_program_memory_of(t->average).staging;
    return TUFF_OK;
}

/* The first step's result is the first average; the decay rises from there. */
tuff_status tuff_trainer_average(tuff_trainer *t, int64_t before)
{
    const double risen = before ? (1.0 + (double)before) / (10.0 + (double)before) : 0;
    const float rate = (float)(1 - fmin(t->params.ema_decay, risen));
    if (!t->average) return TUFF_OK;
    TUFF_TRY(tuff_program_input(t->average, "rate", &rate, sizeof rate));
    return tuff_program_run_until(t->average, NULL, true); /* the step is done: nobody may end it here */
}

void tuff_trainer_exchange_averages(tuff_trainer *t)
{
    char name[TUFF_PARAM_NAME + sizeof TUFF_LM_AVERAGE_PREFIX];
    for (size_t i = 0; t->average && i < tuff_lm_trained_count(&t->runs.lm); i++) {
        const tuff_trained x = tuff_lm_trained(&t->runs.lm, i);
        snprintf(name, sizeof name, TUFF_LM_AVERAGE_PREFIX "%s", x.name);
        tuff_store_exchange(t->store, x.name, name);
    }
}
