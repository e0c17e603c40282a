#include "train/runs.h"

#include <math.h>
#include <string.h>

#include "runtime/program.h"

tuff_status tuff_runs_open(tuff_runs *runs, tuff_device *device)
{
    return tuff_session_create(device, &runs->session);
}

void tuff_runs_close(tuff_runs *runs)
{
    tuff_session_destroy(&runs->session);
    tuff_adapter_destroy(&runs->lm.adapter);
    tuff_pack_free(&runs->pack);
}

/* What a program's graph depends on. */
typedef struct program_key {
    int64_t step, pass, phase;
    tuff_task_shape shape;
} program_key;

typedef struct building {
    tuff_lm lm;
    tuff_lm_train train;
} building;

static tuff_status build(void *user, tuff_graph *g)
{
    const building *b = user;
    return tuff_lm_build(&b->lm, &b->train, g);
}

static void describe(const tuff_runs *runs, tuff_lm_step step, const tuff_dataset *data,
                     const tuff_task_shape *shape, int pass, program_key *key, building *b)
{
    *key = (program_key){.step = step, .pass = pass};
    if (shape) key->shape = *shape;
    if (step < TUFF_LM_AVERAGE) key->phase = runs->lm.phase;
    *b = (building){.lm = runs->lm,
                    .train = {.step = step,
                              .shape = key->shape,
                              .pass = pass,
                              .decay_all = runs->decay_all,
                              .optimizer = runs->optimizer}};
    b->lm.data = data;
}

tuff_status tuff_runs_plan(tuff_runs *runs, tuff_lm_step step, const tuff_dataset *data,
                           const tuff_task_shape *shape, int pass, tuff_program **out_program)
{
    program_key key;
    building b;
    describe(runs, step, data, shape, pass, &key, &b);
    return tuff_session_plan(runs->session, &key, sizeof key, build, &b, runs->lm.watch, out_program);
}

tuff_status tuff_runs_program(tuff_runs *runs, tuff_lm_step step, const tuff_dataset *data,
                              const tuff_task_shape *shape, int pass, tuff_program **out_program)
{
    program_key key;
    building b;
    describe(runs, step, data, shape, pass, &key, &b);
    return tuff_session_program(runs->session, &key, sizeof key, build, &b, runs->lm.watch, out_program);
}

static bool has_output(const tuff_program *program, const char *name)
{
    for (size_t i = 0; i < program->plan->n_outputs; i++)
        if (strcmp(program->plan->outputs[i].tensor->output_name, name) == 0) return true;
    return false;
}

void tuff_runs_begin(tuff_runs *runs, tuff_phase phase, uint64_t batches)
{
    runs->work = (tuff_watched){.watch = runs->lm.watch, .phase = phase, .total = batches};
}

tuff_status tuff_runs_batch(tuff_runs *runs, tuff_program *program, const tuff_batch *batch,
                            const tuff_task_shape *shape, bool whole, double *out_loss)
{
    float loss = NAN;
    runs->pack.virtual_tokens = batch->virtual_tokens;
    runs->pack.silent = batch->silent;
    TUFF_TRY(batch->data->task->fill(batch, shape, &runs->lm.model->config, &runs->pack, program));
    TUFF_TRY(tuff_program_run_until(program, &runs->work, whole));
    if (has_output(program, "loss")) TUFF_TRY(tuff_program_output(program, "loss", &loss, sizeof loss));
    *out_loss = (double)loss;
    return TUFF_OK;
}
