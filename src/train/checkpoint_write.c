/* Writing checkpoints. */
#include <math.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "base/stage.h"
#include "base/structs.h"
#include "formats/safetensors.h"
#include "runtime/device.h"
#include "train/checkpoint.h"

/* ---- the optimizer's states */

void tuff_checkpoint_tensors_free(tuff_checkpoint_tensor *tensors, size_t count)
{
    for (size_t i = 0; tensors && i < count; i++)
        tuff_free(tensors[i].name);
    tuff_free(tensors);
}

static tuff_status add_tensor(tuff_checkpoint_tensor *out, const char *prefix, const char *name,
                              const tuff_store *store)
{
    tuff_buf full = {0};
    tuff_buf_printf(&full, "%s%s", prefix, name);
    if (full.failed) {
        tuff_buf_free(&full);
        return tuff_fail_memory("the optimizer's states");
    }
    const tuff_buffer *buffer = tuff_store_find(store, full.data);
    out->name = full.data;
    out->dtype = buffer->dtype;
    out->rank = buffer->shape.rank;
    memcpy(out->shape, buffer->shape.dim, sizeof out->shape);
    return TUFF_OK;
}

tuff_status tuff_checkpoint_tensors(const tuff_trainer *t, tuff_checkpoint_tensor **out_tensors,
                                    size_t *out_count)
{
    const tuff_optimizer_settings *settings = &t->runs.optimizer;
    const size_t trained = tuff_lm_trained_count(&t->runs.lm);
    const size_t phases = (size_t)t->selected.phases;
    tuff_checkpoint_tensor *tensors =
        tuff_alloc_array(trained * (TUFF_OPTIMIZER_STATES + 1) + phases, sizeof *tensors);
    size_t count = 0;
    *out_tensors = NULL;
    *out_count = 0;
    if (!tensors) return tuff_fail_memory("the optimizer's states");
    tuff_status status = TUFF_OK;
    for (int phase = 0; phase < (int)phases && status == TUFF_OK; phase++)
        status = add_tensor(&tensors[count++], tuff_optimizer_counter(phase).text, "", t->store);
    for (size_t i = 0; i < trained && status == TUFF_OK; i++) {
        tuff_optimizer_state states[TUFF_OPTIMIZER_STATES];
        const tuff_trained x = tuff_lm_trained(&t->runs.lm, i);
        const size_t n = tuff_optimizer_list(settings, &x, states);
        for (size_t k = 0; k < n && status == TUFF_OK; k++)
            status = add_tensor(&tensors[count++], states[k].prefix, x.name, t->store);
        if (t->average && status == TUFF_OK)
            status = add_tensor(&tensors[count++], TUFF_LM_AVERAGE_PREFIX, x.name, t->store);
    }
    if (status != TUFF_OK) {
        tuff_checkpoint_tensors_free(tensors, count);
        return status;
    }
    *out_tensors = tensors;
    *out_count = count;
    return TUFF_OK;
}

typedef struct states {
    const tuff_store *store;
    tuff_checkpoint_tensor *tensors;
    tuff_save_item *items;
    size_t count;
    tuff_watched work;
} states;

static tuff_status write_state(void *user, size_t index, tuff_sink *sink)
{
    enum { PIECE = 1 << 20 }; /* elements */
    states *from = user;
    tuff_buffer *buffer = tuff_store_find(from->store, from->tensors[index].name);
    const int64_t n = tuff_buffer_count(buffer), most = n < PIECE ? n : PIECE;
    const size_t size = tuff_dtype_size(tuff_buffer_dtype(buffer));
    char *values = tuff_alloc_array((size_t)most, size);
    if (!values) return tuff_fail_memory("a state of the optimizer");
    tuff_status status = TUFF_OK;
    for (int64_t at = 0; at < n && status == TUFF_OK; at += PIECE) {
        const int64_t some = n - at < PIECE ? n - at : PIECE;
        status = tuff_buffer_read(buffer, at, values, some);
        if (status == TUFF_OK) status = tuff_sink_write(sink, values, (size_t)some * size);
        if (status == TUFF_OK) status = tuff_watched_add(&from->work, (uint64_t)some * size);
    }
    tuff_free(values);
    return status;
}

static tuff_status list_items(states *from)
{
    from->items = tuff_alloc_array(from->count, sizeof *from->items);
    if (!from->items) return tuff_fail_memory("the optimizer's states");
    for (size_t i = 0; i < from->count; i++) {
        const tuff_checkpoint_tensor *x = &from->tensors[i];
        const tuff_shape shape = tuff_shape_of(x->rank, x->shape);
        from->items[i] = (tuff_save_item){
            .name = x->name, .storage = tuff_storage_of(x->dtype), .rank = (unsigned)x->rank};
        memcpy(from->items[i].shape, x->shape, sizeof from->items[i].shape);
        from->work.total += tuff_dtype_bytes(x->dtype, tuff_shape_count(&shape));
    }
    return TUFF_OK;
}

static tuff_status write_optimizer(const tuff_trainer *t, const char *directory, const tuff_watch *watch)
{
    states from = {.store = t->store, .work = {.watch = watch, .phase = TUFF_PHASE_SAVE}};
    char *path = tuff_path_join(directory, TUFF_CHECKPOINT_OPTIMIZER);
    tuff_status status = path ? TUFF_OK : tuff_fail_memory("a path");
    if (status == TUFF_OK) status = tuff_checkpoint_tensors(t, &from.tensors, &from.count);
    if (status == TUFF_OK) status = list_items(&from);
    if (status == TUFF_OK) status = tuff_watched_tell(&from.work);
    if (status == TUFF_OK) status = tuff_safetensors_save(path, from.items, from.count, write_state, &from);
    tuff_checkpoint_tensors_free(from.tensors, from.count);
    tuff_free(from.items);
    tuff_free(path);
    return status;
}

/* ---- trainer_state.json */

static void put_text(tuff_buf *out, const char *text)
{
    if (text)
        tuff_json_quote(out, text, strlen(text));
    else
        tuff_buf_text(out, "null");
}

/* Hugging Face's fields, in its order. */
static void put_hugging_face(const tuff_trainer *t, const tuff_checkpoint_params *p, tuff_buf *out)
{
    const bool best = p->best_model_checkpoint != NULL;
    tuff_buf_text(out, "{\n  \"best_global_step\": ");
    if (best)
        tuff_buf_printf(out, "%lld", (long long)p->best_global_step);
    else
        tuff_buf_text(out, "null");
    tuff_buf_text(out, ",\n  \"best_metric\": ");
    tuff_json_double(out, best ? p->best_metric : (double)NAN);
    tuff_buf_text(out, ",\n  \"best_model_checkpoint\": ");
    put_text(out, p->best_model_checkpoint);
    tuff_buf_text(out, ",\n  \"epoch\": ");
    tuff_json_real(out, tuff_trainer_epochs_done(t));
    tuff_buf_printf(out,
                    ",\n  \"global_step\": %lld,\n  \"is_hyper_param_search\": false,\n"
                    "  \"is_local_process_zero\": true,\n  \"is_world_process_zero\": true,\n"
                    "  \"log_history\": %s,\n  \"max_steps\": %lld,\n  \"num_train_epochs\": %lld,\n",
                    (long long)t->step, p->log_history ? p->log_history : "[]", (long long)t->total_steps,
                    (long long)ceil(t->params.num_train_epochs));
    tuff_buf_text(out, "  \"stateful_callbacks\": {\n    \"tuff\": {\n");
}

static tuff_status print_state(tuff_trainer *t, const tuff_checkpoint_params *p,
                               const tuff_checkpoint_files *files, tuff_buf *out)
{
    put_hugging_face(t, p, out);
    tuff_buf_printf(out, "      \"format\": %d,\n", TUFF_CHECKPOINT_FORMAT);
    TUFF_TRY(tuff_checkpoint_describe(t, out));
    tuff_buf_printf(
        out, "      \"counters\": {\"nonfinite_in_a_row\": %lld, \"skipped\": %lld, \"phase\": %d},\n",
        (long long)t->nonfinite, (long long)t->skipped, tuff_trained_set_phase(&t->selected, t->step));
    tuff_buf_text(out, "      \"numbers\": {");
    for (size_t i = 0; i < p->number_count; i++) {
        const tuff_checkpoint_number *x = &p->numbers[i];
        tuff_buf_text(out, i ? ", " : "");
        tuff_json_quote(out, x->name, strlen(x->name));
        tuff_buf_text(out, ": ");
        tuff_json_double(out, x->value);
    }
    tuff_buf_text(out, "},\n      \"files\": ");
    tuff_checkpoint_files_print(files, out);
    tuff_buf_printf(out,
                    "\n    }\n  },\n  \"total_flos\": 0,\n  \"train_batch_size\": %lld,\n"
                    "  \"trial_name\": null,\n  \"trial_params\": null\n}\n",
                    (long long)t->params.per_device_train_batch_size);
    return out->failed ? tuff_fail_memory("what a checkpoint says") : TUFF_OK;
}

static tuff_status write_state_file(tuff_trainer *t, const tuff_checkpoint_params *p, const char *directory,
                                    const tuff_checkpoint_files *files)
{
    tuff_buf text = {0};
    cJSON *read = NULL;
    char *path = tuff_path_join(directory, TUFF_CHECKPOINT_STATE);
    tuff_status status = path ? print_state(t, p, files, &text) : tuff_fail_memory("a path");
    if (status == TUFF_OK) status = tuff_json_parse(text.data, text.size, TUFF_CHECKPOINT_STATE, &read);
    if (status == TUFF_OK) status = tuff_write_file(path, text.data, text.size);
    cJSON_Delete(read);
    tuff_buf_free(&text);
    tuff_free(path);
    return status;
}

/* What the application gives goes into the file as it is, or by name. */
static tuff_status check_given(const tuff_checkpoint_params *p)
{
    cJSON *history = NULL;
    if (p->log_history) {
        TUFF_TRY(tuff_json_parse(p->log_history, strlen(p->log_history), "log_history", &history));
        const bool list = cJSON_IsArray(history);
        cJSON_Delete(history);
        if (!list)
            return tuff_fail(TUFF_INVALID_ARGUMENT, "the log_history of a checkpoint must be a list of JSON");
    }
    TUFF_NEED_MANY(p->numbers, p->number_count);
    for (size_t i = 0; i < p->number_count; i++)
        if (!memchr(p->numbers[i].name, 0, sizeof p->numbers[i].name))
            return tuff_fail(TUFF_INVALID_ARGUMENT, "the name of number %zu of a checkpoint does not end", i);
    return TUFF_OK;
}

static tuff_status save_into(tuff_trainer *t, tuff_stage *stage, const tuff_checkpoint_params *p)
{
    const char *directory = tuff_stage_path(stage);
    tuff_checkpoint_files files;
    if (t->broken)
        return tuff_fail(TUFF_INVALID_ARGUMENT,
                         "a step failed on its way, and what it left is no checkpoint to go on from");
    TUFF_TRY(tuff_trainer_write(t, stage, p->watch));
    TUFF_TRY(write_optimizer(t, directory, p->watch));
    TUFF_TRY(tuff_checkpoint_files_list(directory, &files));
    tuff_watched work = {
        .watch = p->watch, .phase = TUFF_PHASE_SAVE, .total = tuff_checkpoint_files_bytes(&files)};
    tuff_status status = tuff_checkpoint_files_hash(&files, directory, &work);
    if (status == TUFF_OK) status = write_state_file(t, p, directory, &files);
    tuff_checkpoint_files_free(&files);
    return status;
}

static tuff_status take(const tuff_checkpoint_params *given, tuff_checkpoint_params *out)
{
    *out = (tuff_checkpoint_params)TUFF_CHECKPOINT_PARAMS_INIT;
    TUFF_TRY(TUFF_TAKE(out, given, TUFF_CHECKPOINT_PARAMS_INIT, number_count));
    TUFF_TRY(tuff_watch_check(out->watch));
    return check_given(out);
}

tuff_status tuff_trainer_save_checkpoint_into(tuff_trainer *t, tuff_stage *stage,
                                              const tuff_checkpoint_params *params)
{
    tuff_checkpoint_params p;
    TUFF_NEED(t);
    TUFF_NEED(stage);
    TUFF_TRY(take(params, &p));
    TUFF_TRY(tuff_trainer_enter(t));
    return tuff_trainer_leave(t, save_into(t, stage, &p));
}

static tuff_status save(tuff_trainer *t, const char *directory, const tuff_checkpoint_params *p)
{
    tuff_stage *stage = NULL;
    TUFF_TRY(tuff_stage_open(directory, &stage));
    tuff_status status = save_into(t, stage, p);
    if (status == TUFF_OK) return tuff_stage_commit(&stage);
    tuff_stage_abort(&stage);
    return status;
}

tuff_status tuff_trainer_save_checkpoint(tuff_trainer *t, const char *directory,
                                         const tuff_checkpoint_params *params)
{
    tuff_checkpoint_params p;
    TUFF_NEED(t);
    TUFF_NEED(directory);
    TUFF_TRY(take(params, &p));
    TUFF_TRY(tuff_trainer_enter(t));
    return tuff_trainer_leave(t, save(t, directory, &p));
}
