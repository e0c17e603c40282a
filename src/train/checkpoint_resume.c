/* Taking a trainer to where a checkpoint is. */
#include <string.h>

#include "base/memory.h"
#include "runtime/device.h"
#include "train/checkpoint.h"

/* ---- what is trained */

/* The files of it: a model, or an adapter for the trainer's model. */
typedef struct saved {
    tuff_model *model;
    tuff_adapter *adapter;
} saved;

static void close_saved(saved *s)
{
    tuff_adapter_destroy(&s->adapter);
    tuff_model_destroy(&s->model);
}

static tuff_status open_saved(const tuff_trainer *t, const char *directory, saved *out)
{
    *out = (saved){0};
    if (t->runs.lm.adapter) return tuff_adapter_open(t->model, directory, &t->device->log, &out->adapter);
    return tuff_model_load(directory, &out->model);
}

static tuff_status missing(const char *name)
{
    return tuff_fail(TUFF_BAD_FORMAT, "the checkpoint has no tensor %s of this training", name);
}

/* A parameter of a saved model, some rows at a time; but a file that is transposed is read whole by each
 * call. */
static tuff_status restore_param(const tuff_model *model, const tuff_param *p, tuff_buffer *buffer)
{
    enum { PIECE = 1 << 22 }; /* elements */
    const int64_t rows = tuff_param_rows(p), columns = tuff_param_columns(p);
    int64_t some = p->hf.layout == TUFF_LAYOUT_ROWS ? PIECE / columns + 1 : rows;
    if (some > rows) some = rows;
    float *values = tuff_alloc_array((size_t)(some * columns), sizeof *values);
    if (!values) return tuff_fail_memory("a parameter of a checkpoint");
    tuff_status status = TUFF_OK;
    for (int64_t r = 0; r < rows && status == TUFF_OK; r += some) {
        const int64_t end = r + some < rows ? r + some : rows;
        status = tuff_model_read(model, p, NULL, r, end, values);
        if (status == TUFF_OK) status = tuff_buffer_write(buffer, r * columns, values, (end - r) * columns);
    }
    tuff_free(values);
    return status;
}

static tuff_status restore_weight(const tuff_weight *weight, tuff_buffer *buffer)
{
    const int64_t n = tuff_buffer_count(buffer);
    if (tuff_weight_elements(weight) != n)
        return tuff_fail(TUFF_BAD_FORMAT, "it has %lld numbers in the checkpoint, expected %lld",
                         (long long)tuff_weight_elements(weight), (long long)n);
    float *values = tuff_alloc_array((size_t)n, sizeof *values);
    if (!values) return tuff_fail_memory("a tensor of a checkpoint");
    tuff_status status = tuff_weight_read(weight, TUFF_F32, values);
    if (status == TUFF_OK) status = tuff_buffer_write(buffer, 0, values, n);
    tuff_free(values);
    return status;
}

static const tuff_weight *weight_of(const tuff_adapter *a, const char *name)
{
    const size_t i = tuff_adapter_find(a, name);
    if (i != SIZE_MAX) return a->tensors[i].weight;
    uint32_t whole;
    return tuff_map_get(&a->whole_names, name, strlen(name), &whole) ? a->whole[whole].weight : NULL;
}

static tuff_status restore_one(const tuff_trainer *t, const saved *from, const tuff_trained *x)
{
    tuff_buffer *buffer = tuff_store_find(t->store, x->name);
    if (from->adapter) {
        const tuff_weight *weight = weight_of(from->adapter, x->name);
        return weight ? restore_weight(weight, buffer) : missing(x->name);
    }
    const tuff_param *p = tuff_params_find(&from->model->params, x->name);
    if (!p) return missing(x->name);
    const tuff_shape now = tuff_shape_of(x->rank, x->shape), then = tuff_shape_of(p->rank, p->shape);
    if (!tuff_shape_equal(&now, &then))
        return tuff_fail(TUFF_BAD_FORMAT, "its shape is %s in the checkpoint, expected %s",
                         tuff_shape_text(&then), tuff_shape_text(&now));
    return restore_param(from->model, p, buffer);
}

static tuff_status restore_trained(const tuff_trainer *t, const char *directory)
{
    saved from;
    const size_t n =
        tuff_lm_candidate_count(&t->runs.lm); /* also what is frozen: the model may be another's */
    tuff_watched work = {
        .watch = t->runs.lm.watch, .phase = TUFF_PHASE_UPLOAD, .unit = "tensors", .total = n};
    tuff_status status = open_saved(t, directory, &from);
    for (size_t i = 0; i < n && status == TUFF_OK; i++) {
        const tuff_trained x = tuff_lm_candidate(&t->runs.lm, i);
        status = tuff_note(restore_one(t, &from, &x), "%s: %s", directory, x.name);
        if (status == TUFF_OK) status = tuff_watched_add(&work, 1);
    }
    close_saved(&from);
    return status;
}

/* ---- the optimizer */

/* `weight` NULL: the checkpoint has none. */
static tuff_status restore_state(const tuff_weight *weight, const tuff_checkpoint_tensor *x,
                                 tuff_buffer *buffer)
{
    enum { PIECE = 1 << 20 }; /* elements */
    const size_t size = tuff_dtype_size(x->dtype);
    const int64_t n = tuff_buffer_count(buffer);
    if (weight && (weight->storage != tuff_storage_of(x->dtype) || tuff_weight_elements(weight) != n))
        return tuff_fail(TUFF_BAD_FORMAT, "%s: %s has %lld numbers of type %s, expected %lld of type %s",
                         weight->file, x->name, (long long)tuff_weight_elements(weight),
                         tuff_weight_type(weight), (long long)n, tuff_dtype_name(x->dtype));
    char *values = tuff_alloc_array(n < PIECE ? (size_t)n : PIECE, size); /* zeros: it begins anew */
    if (!values) return tuff_fail_memory("a state of the optimizer");
    tuff_status status = TUFF_OK;
    for (int64_t at = 0; at < n && status == TUFF_OK; at += PIECE) {
        const int64_t some = n - at < PIECE ? n - at : PIECE;
        if (weight) status = tuff_weight_stored_part(weight, (size_t)at * size, (size_t)some * size, values);
        if (status == TUFF_OK) status = tuff_buffer_write(buffer, at, values, some);
    }
    tuff_free(values);
    return status;
}

/* Where the checkpoint has a state; NULL: nowhere. The first states are the phases' counts of steps, of which
 * each goes on with that of phase then[index] of the checkpoint. */
static const tuff_weight *state_of(const tuff_trainer *t, const tuff_weights *weights, const char *name,
                                   size_t index, const int *then)
{
    if (index >= (size_t)t->selected.phases) return tuff_weights_find(weights, name);
    return then[index] < 0 ? NULL : tuff_weights_find(weights, tuff_optimizer_counter(then[index]).text);
}

static tuff_status restore_optimizer(const tuff_checkpoint *c, tuff_trainer *t)
{
    tuff_weights *weights = NULL;
    tuff_checkpoint_tensor *tensors = NULL;
    size_t count = 0;
    int *then = NULL;
    const bool same = tuff_checkpoint_same_optimizer(c, t);
    tuff_status status = tuff_checkpoint_tensors(t, &tensors, &count);
    if (status == TUFF_OK) status = tuff_checkpoint_open_states(c, &weights);
    if (status == TUFF_OK) status = tuff_checkpoint_phases(c, t, weights, &then);
    for (size_t i = 0; i < count && status == TUFF_OK; i++) {
        const bool average = tuff_starts_with(tensors[i].name, TUFF_LM_AVERAGE_PREFIX);
        const tuff_weight *weight = same || average ? state_of(t, weights, tensors[i].name, i, then) : NULL;
        if (average && !weight) /* of a training without */
            status = tuff_trainer_begin_average(t, tensors[i].name + strlen(TUFF_LM_AVERAGE_PREFIX));
        else
            status = restore_state(weight, &tensors[i], tuff_store_find(t->store, tensors[i].name));
    }
    tuff_checkpoint_tensors_free(tensors, count);
    tuff_weights_destroy(&weights);
    tuff_free(then);
    return status;
}

static tuff_status resume(tuff_trainer *t, const tuff_checkpoint *c)
{
    TUFF_TRY(tuff_checkpoint_check(c, t));
    if (c->step > INT64_MAX / 2)
        return tuff_fail(TUFF_BAD_FORMAT, "%s: %lld steps are too many", c->state, (long long)c->step);
    TUFF_TRY(tuff_trainer_prepare(t));
    t->broken = true; /* until all is of one step */
    t->moved = true;
    TUFF_TRY(restore_trained(t, c->directory));
    TUFF_TRY(restore_optimizer(c, t));
    t->broken = false;
    t->unclean = t->sums; /* gradients of a step that failed */
    t->step = c->step;
    t->nonfinite = c->nonfinite;
    t->skipped = c->skipped;
    return TUFF_OK;
}

tuff_status tuff_trainer_resume(tuff_trainer *t, const tuff_checkpoint *c)
{
    TUFF_NEED(t);
    TUFF_NEED(c);
    TUFF_TRY(tuff_trainer_enter(t));
    return tuff_trainer_leave(t, resume(t, c));
}
