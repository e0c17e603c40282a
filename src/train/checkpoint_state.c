/* What a training is, as its checkpoints say it, and in what it differs from another. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tuff/version.h>

#include "base/hash.h"
#include "base/memory.h"
#include "models/model.h"
#include "runtime/device.h"
#include "runtime/program.h"
#include "train/checkpoint.h"
#include "train/mixture.h"

/* A field that is added to the settings of a training is added to settings.def too: each begins at a multiple
 * of 8 bytes. */
#define ROOM(field)               +(sizeof(((tuff_train_params *)0)->field) + 7) / 8 * 8
#define TUFF_SETTING(kind, field) ROOM(field)
#define TUFF_SETTING_BESIDE(kind, field)
#define TUFF_NO_SETTING(field) ROOM(field)
_Static_assert(sizeof(size_t)
#include "train/settings.def"
                   == sizeof(tuff_train_params),
               "train/settings.def lists every field of tuff_train_params once");

/* ---- describing */

/* A member that is no text. */
static void put_key(tuff_buf *out, const char *key)
{
    const char last = out->size ? out->data[out->size - 1] : '{';
    tuff_buf_printf(out, "%s\"%s\": ", last == '{' ? "" : ", ", key);
}

static void put_text(tuff_buf *out, const char *key, const char *text)
{
    put_key(out, key);
    tuff_json_quote(out, text, strlen(text));
}

static void put_INT(tuff_buf *out, const char *key, int64_t value)
{
    put_key(out, key);
    tuff_buf_printf(out, "%lld", (long long)value);
}

/* A text: JSON's numbers are doubles. */
static void put_SEED(tuff_buf *out, const char *key, uint64_t value)
{
    put_key(out, key);
    tuff_buf_printf(out, "\"%llu\"", (unsigned long long)value);
}

static void put_REAL(tuff_buf *out, const char *key, double value)
{
    put_key(out, key);
    tuff_json_double(out, value);
}

static void put_BOOL(tuff_buf *out, const char *key, bool value)
{
    put_key(out, key);
    tuff_buf_text(out, tuff_json_truth(value));
}

static void put_SCHEDULE(tuff_buf *out, const char *key, tuff_schedule value)
{
    put_text(out, key, tuff_schedule_name(value));
}

/* What was made of settings that are given in one text. */
static void put_made(tuff_buf *out, const char *key, tuff_buf *made)
{
    put_text(out, key, made->data ? made->data : "");
    out->failed |= made->failed;
    tuff_buf_free(made);
}

static void put_settings(const tuff_trainer *t, tuff_buf *out)
{
    const tuff_train_params *p = &t->params;
    tuff_buf_text(out, "      \"settings\": {");
    put_text(out, "optim", t->runs.optimizer.optimizer->name);
    put_INT(out, "total_steps", t->total_steps);
    tuff_buf kwargs = {0}, args = {0};
    tuff_rates_put(&t->rates, &kwargs);
    put_made(out, "lr_scheduler_kwargs", &kwargs);
    tuff_optimizer_put_args(&t->runs.optimizer, &args);
    put_made(out, "optim_args", &args);
    put_text(out, "dropout", tuff_trainer_dropout(t));
    static const char *const selections[] = {"freeze", "train_only", "unfreeze_schedule"};
    for (int i = 0; i < 3; i++)
        put_text(out, selections[i], t->selection_texts[i] ? t->selection_texts[i] : "");
#define TUFF_SETTING(kind, field)        put_##kind(out, #field, p->field);
#define TUFF_SETTING_BESIDE(kind, field) TUFF_SETTING(kind, field)
#define TUFF_NO_SETTING(field)
#include "train/settings.def"
    tuff_buf_text(out, "},\n");
}

/* A sample of the numbers that an adapter is trained beside: which model it is. What is trained whole comes
 * from the checkpoint, whatever it began as. */
static tuff_status hash_model(const tuff_model *model, char out[65])
{
    enum { SAMPLE = 4096 };
    const tuff_weights *weights = tuff_model_weights(model);
    unsigned char bytes[SAMPLE];
    tuff_sha256 hash;
    tuff_sha256_init(&hash);
    for (size_t i = 0; i < weights->count; i++) {
        const tuff_weight *w = &weights->items[i];
        const size_t n = w->bytes < SAMPLE ? w->bytes : SAMPLE;
        tuff_sha256_update(&hash, w->name, strlen(w->name) + 1);
        tuff_sha256_update(&hash, w->shape, sizeof w->shape);
        TUFF_TRY(tuff_weight_stored_part(w, 0, n, bytes));
        tuff_sha256_update(&hash, bytes, n);
    }
    tuff_sha256_hex(&hash, out);
    return TUFF_OK;
}

static tuff_status put_model(const tuff_trainer *t, tuff_buf *out)
{
    char sample[65];
    tuff_buf_text(out, "      \"model\": {");
    put_text(out, "architecture", t->model->config.arch->name);
    put_INT(out, "parameters", tuff_model_parameters(t->model));
    if (t->runs.lm.adapter) {
        TUFF_TRY(hash_model(t->given, sample));
        put_text(out, "sample", sample);
    }
    tuff_buf_text(out, "},\n");
    return TUFF_OK;
}

/* Lists and objects of adapter_config.json, as texts: patterns of modules. Numbers are among the settings;
 * what is trained is checked by names. */
static tuff_status put_adapter(const tuff_adapter *adapter, tuff_buf *out)
{
    static const char *const by_name[] = {"target_modules", "target_parameters", "modules_to_save"};
    tuff_buf config = {0};
    cJSON *json = NULL;
    tuff_status status;
    TUFF_GO(adapter->method->describe(adapter, &(tuff_adapter_card){0}, &config));
    if (config.failed) TUFF_GO(tuff_fail_memory("an adapter's config"));
    TUFF_GO(tuff_json_parse(config.data, config.size, "an adapter's config", &json));
    tuff_buf_text(out, "      \"adapter\": {");
    for (const cJSON *item = json->child; item; item = item->next) {
        bool checked = false;
        for (size_t i = 0; i < sizeof by_name / sizeof *by_name; i++)
            checked = checked || strcmp(item->string, by_name[i]) == 0;
        if (checked || !(cJSON_IsObject(item) || cJSON_IsArray(item))) continue;
        char *text = cJSON_PrintUnformatted(item);
        out->failed |= !text;
        put_text(out, item->string, text ? text : "");
        cJSON_free(text);
    }
    tuff_buf_text(out, "},\n");
done:
    cJSON_Delete(json);
    tuff_buf_free(&config);
    return status;
}

/* Of all that its batches are made from. */
static void hash_data(const tuff_dataset *data, char out[65])
{
    tuff_sha256 hash;
    tuff_sha256_init(&hash);
    tuff_sha256_update(&hash, &data->tokens, sizeof data->tokens);
    tuff_sha256_update(&hash, &data->block_size, sizeof data->block_size);
    if (data->block_stride != data->block_size)
        tuff_sha256_update(&hash, &data->block_stride, sizeof data->block_stride);
    tuff_sha256_update(&hash, data->ids, (size_t)data->tokens * sizeof *data->ids);
    if (data->types) tuff_sha256_update(&hash, data->types, (size_t)data->tokens);
    if (data->starts)
        tuff_sha256_update(&hash, data->starts, (size_t)(data->sequences + 1) * sizeof *data->starts);
    if (data->task->hash) data->task->hash(data, &hash);
    if (data->mixture) tuff_mixture_hash(data->mixture, &hash);
    tuff_sha256_hex(&hash, out);
}

static void put_data(tuff_trainer *t, tuff_buf *out)
{
    if (!*t->data_hash) hash_data(t->data, t->data_hash);
    tuff_buf_text(out, "      \"data\": {");
    put_text(out, "sha256", t->data_hash);
    put_INT(out, "tokens", t->data->tokens);
    put_INT(out, "examples", t->blocks);
    put_INT(out, "block_size", t->data->block_size);
    tuff_buf_text(out, "},\n");
}

/* ---- kernels */

typedef struct kernel_name {
    const char *op, *row;
} kernel_name;

static int by_name(const void *a, const void *b)
{
    const kernel_name *x = a, *y = b;
    int order = strcmp(x->op, y->op);
    return order ? order : strcmp(x->row, y->row);
}

/* The kernels that a step runs, each once: "matmul tile". */
static tuff_status put_kernels(const tuff_trainer *t, tuff_buf *out)
{
    const tuff_program *const programs[] = {t->accumulate, t->update, t->average};
    enum { PROGRAMS = sizeof programs / sizeof *programs };
    size_t count = 0, most = 0;
    for (int i = 0; i < PROGRAMS; i++)
        most += programs[i] ? programs[i]->plan->n_steps : 0;
    kernel_name *names = tuff_alloc_array(most, sizeof *names);
    if (!names) return tuff_fail_memory("the names of kernels");
    for (int i = 0; i < PROGRAMS; i++)
        for (size_t s = 0; programs[i] && s < programs[i]->plan->n_steps; s++) {
            const tuff_plan_step *step = &programs[i]->plan->steps[s];
            names[count++] =
                (kernel_name){step->op->name, step->row < 0 ? "host" : step->op->rows[step->row].name};
        }
    if (count) qsort(names, count, sizeof *names, by_name);
    put_key(out, "kernels");
    tuff_buf_char(out, '[');
    for (size_t i = 0, n = 0; i < count; i++)
        if (i == 0 || by_name(&names[i - 1], &names[i]) != 0)
            tuff_buf_printf(out, "%s\"%s %s\"", n++ ? ", " : "", names[i].op, names[i].row);
    tuff_buf_char(out, ']');
    tuff_free(names);
    return TUFF_OK;
}

/* The CPU without the number of its threads, on which no result depends. */
static void put_device_name(const tuff_device_info *info, tuff_buf *out)
{
    const char *library = strcmp(info->backend, "cpu") == 0 ? strstr(info->name, ", ") : NULL;
    char name[256];
    snprintf(name, sizeof name, "%s%s", library ? "CPU (" : info->name, library ? library + 2 : "");
    put_text(out, "name", name);
}

/* What the host's loops and drivers that run on it are compiled for. */
static const char *processor(void)
{
#if defined(__x86_64__)
    return __builtin_cpu_supports("avx512f") ? "x86-64 with AVX-512"
           : __builtin_cpu_supports("avx2")  ? "x86-64 with AVX2"
                                             : "x86-64";
#elif defined(__aarch64__)
    return "ARM64";
#else
    return "another";
#endif
}

static tuff_status put_device(const tuff_trainer *t, tuff_buf *out)
{
    const tuff_device_info *info = tuff_device_get_info(t->device);
    tuff_buf_text(out, "      \"device\": {");
    put_device_name(info, out);
    put_text(out, "processor", processor());
    put_text(out, "driver", info->driver);
    TUFF_TRY(put_kernels(t, out));
    tuff_buf_text(out, "},\n");
    return TUFF_OK;
}

static const char *method_of(const tuff_trainer *t)
{
    return t->runs.lm.adapter ? t->runs.lm.adapter->method->peft_type : "full";
}

/* Which tensors could be trained: of what is frozen, the settings tell. */
typedef struct trained_set {
    int64_t tensors, numbers;
    char names_and_shapes[65];
} trained_set;

static trained_set trained_of(const tuff_trainer *t)
{
    trained_set set = {.tensors = (int64_t)tuff_lm_candidate_count(&t->runs.lm)};
    tuff_sha256 hash;
    tuff_sha256_init(&hash);
    for (size_t i = 0; i < (size_t)set.tensors; i++) {
        const tuff_trained x = tuff_lm_candidate(&t->runs.lm, i);
        const tuff_shape shape = tuff_shape_of(x.rank, x.shape);
        tuff_sha256_update(&hash, x.name, strlen(x.name) + 1);
        tuff_sha256_update(&hash, x.shape, (size_t)x.rank * sizeof *x.shape);
        set.numbers += tuff_shape_count(&shape);
    }
    tuff_sha256_hex(&hash, set.names_and_shapes);
    return set;
}

static void put_trained(const tuff_trainer *t, tuff_buf *out)
{
    const trained_set set = trained_of(t);
    tuff_buf_text(out, "      \"trained\": {");
    put_INT(out, "tensors", set.tensors);
    put_INT(out, "parameters", set.numbers);
    put_text(out, "names_and_shapes", set.names_and_shapes);
    tuff_buf_text(out, "},\n");
}

tuff_status tuff_checkpoint_describe(tuff_trainer *t, tuff_buf *out)
{
    tuff_buf_printf(out, "      \"version\": \"%s\",\n      \"method\": \"%s\",\n      \"task\": \"%s\",\n",
                    tuff_version(), method_of(t), t->data->task->name);
    put_settings(t, out);
    put_trained(t, out);
    if (t->runs.lm.adapter) TUFF_TRY(put_adapter(t->runs.lm.adapter, out));
    TUFF_TRY(put_model(t, out));
    put_data(t, out);
    TUFF_TRY(put_device(t, out));
    return out->failed ? tuff_fail_memory("what a checkpoint says") : TUFF_OK;
}

/* ---- comparing */

static void put_value(const cJSON *item, tuff_buf *out)
{
    if (cJSON_IsString(item))
        tuff_buf_printf(out, "%s", *item->valuestring ? item->valuestring : "none");
    else if (cJSON_IsBool(item))
        tuff_buf_text(out, tuff_json_truth(cJSON_IsTrue(item)));
    else if (cJSON_IsNumber(item) && fabs(item->valuedouble) < 1e15 &&
             floor(item->valuedouble) == item->valuedouble)
        tuff_buf_printf(out, "%.0f", item->valuedouble);
    else if (cJSON_IsNumber(item))
        tuff_json_double(out, item->valuedouble);
    else
        tuff_buf_text(out, "none");
}

/* "learning_rate was 0.001, is 0.0005" for each member of an object that both have. */
static void compare_members(const cJSON *then, const cJSON *now, const char *what, tuff_buf *out)
{
    for (const cJSON *item = now ? now->child : NULL; item; item = item->next) {
        const cJSON *old = cJSON_GetObjectItemCaseSensitive(then, item->string);
        if (!old || cJSON_IsArray(item) || cJSON_Compare(old, item, true)) continue;
        tuff_buf_printf(out, "%s%s was ", what, item->string);
        put_value(old, out);
        tuff_buf_text(out, ", is ");
        put_value(item, out);
        tuff_buf_char(out, '\n');
    }
}

static bool list_has(const cJSON *list, const char *text)
{
    for (const cJSON *item = list ? list->child : NULL; item; item = item->next)
        if (cJSON_IsString(item) && strcmp(item->valuestring, text) == 0) return true;
    return false;
}

/* The first few of a list that the other lacks. */
static size_t put_missing(const cJSON *list, const cJSON *other, tuff_buf *out)
{
    enum { SHOWN = 3 };
    size_t missing = 0;
    for (const cJSON *item = list ? list->child : NULL; item; item = item->next) {
        if (!cJSON_IsString(item) || list_has(other, item->valuestring)) continue;
        if (missing++ < SHOWN) tuff_buf_printf(out, "%s%s", missing > 1 ? ", " : "", item->valuestring);
    }
    if (missing > SHOWN) tuff_buf_printf(out, " and %zu more", missing - SHOWN);
    return missing;
}

static void compare_kernels(const cJSON *then, const cJSON *now, tuff_buf *out)
{
    const cJSON *old = cJSON_GetObjectItemCaseSensitive(then, "kernels"),
                *new = cJSON_GetObjectItemCaseSensitive(now, "kernels");
    tuff_buf gone = {0}, come = {0};
    size_t differ = put_missing(old, new, &gone) + put_missing(new, old, &come);
    if (differ)
        tuff_buf_printf(out, "other kernels compute: %s then, %s now\n",
                        gone.data ? gone.data : "none of these", come.data ? come.data : "none of these");
    out->failed |= gone.failed || come.failed;
    tuff_buf_free(&gone);
    tuff_buf_free(&come);
}

static const cJSON *member(const cJSON *object, const char *key)
{
    return cJSON_GetObjectItemCaseSensitive(object, key);
}

static int64_t count_in(const cJSON *object, const char *key)
{
    const cJSON *item = member(object, key);
    return cJSON_IsNumber(item) && fabs(item->valuedouble) < 1e18 ? (int64_t)item->valuedouble : 0;
}

static void compare_data(const cJSON *then, const cJSON *now, tuff_buf *out)
{
    if (cJSON_Compare(member(then, "sha256"), member(now, "sha256"), true)) return;
    tuff_buf_printf(
        out, "the training data is not the same: %lld tokens in %lld examples then, %lld in %lld now\n",
        (long long)count_in(then, "tokens"), (long long)count_in(then, "examples"),
        (long long)count_in(now, "tokens"), (long long)count_in(now, "examples"));
}

static void compare(const cJSON *then, const cJSON *now, tuff_buf *out)
{
    const cJSON *sample = member(member(now, "model"), "sample");
    compare_members(member(then, "settings"), member(now, "settings"), "", out);
    compare_members(member(then, "adapter"), member(now, "adapter"), "the adapter's ", out);
    if (sample && !cJSON_Compare(member(member(then, "model"), "sample"), sample, true))
        tuff_buf_text(out, "the model beside the adapter is not the same: its weights are others\n");
    compare_data(member(then, "data"), member(now, "data"), out);
    compare_members(member(then, "device"), member(now, "device"), "the device's ", out);
    compare_kernels(member(then, "device"), member(now, "device"), out);
    if (!cJSON_Compare(member(then, "version"), member(now, "version"), true)) {
        tuff_buf_text(out, "Tuff's version was ");
        put_value(member(then, "version"), out);
        tuff_buf_text(out, ", is ");
        put_value(member(now, "version"), out);
        tuff_buf_char(out, '\n');
    }
}

tuff_status tuff_checkpoint_check(const tuff_checkpoint *c, const tuff_trainer *t)
{
    const char *method = NULL, *task = NULL;
    TUFF_TRY(tuff_json_text(c->own, "method", c->state, &method));
    TUFF_TRY(tuff_json_text(c->own, "task", c->state, &task));
    if (!method || strcmp(method, method_of(t)) != 0)
        return tuff_fail(TUFF_INVALID_ARGUMENT,
                         "%s is of a training of %s, this one is of %s: begin it anew, or train as the "
                         "checkpoint was",
                         c->directory, !method || strcmp(method, "full") == 0 ? "all parameters" : method,
                         t->runs.lm.adapter ? method_of(t) : "all parameters");
    if (!task || strcmp(task, t->data->task->name) != 0)
        return tuff_fail(TUFF_INVALID_ARGUMENT, "%s is of a training for %s, this one is for %s",
                         c->directory, task ? task : "no task", t->data->task->name);
    const trained_set now = trained_of(t);
    const cJSON *then = member(c->own, "trained"), *names = member(then, "names_and_shapes");
    if (cJSON_IsString(names) && strcmp(names->valuestring, now.names_and_shapes) == 0)
        return tuff_checkpoint_check_phases(c, t);
    return tuff_fail(
        TUFF_INVALID_ARGUMENT,
        "%s is of another model or adapter: what is trained has other names or shapes there, %lld "
        "tensors with %lld numbers, here %lld with %lld; give the model and the adapter's settings "
        "that it was made with",
        c->directory, (long long)count_in(then, "tensors"), (long long)count_in(then, "parameters"),
        (long long)now.tensors, (long long)now.numbers);
}

static tuff_status differences(const tuff_checkpoint *c, tuff_trainer *t, char **out_lines)
{
    tuff_buf text = {0}, lines = {0};
    cJSON *now = NULL;
    tuff_status status;
    tuff_buf_text(&text, "{");
    TUFF_GO(tuff_checkpoint_describe(t, &text));
    tuff_buf_text(&text, "\"end\": 0}");
    if (text.failed) TUFF_GO(tuff_fail_memory("what a checkpoint says"));
    TUFF_GO(tuff_json_parse(text.data, text.size, "this training", &now));
    tuff_buf_text(&lines, "");
    compare(c->own, now, &lines);
    if (lines.failed) TUFF_GO(tuff_fail_memory("what differs from a checkpoint"));
    *out_lines = lines.data ? lines.data : tuff_strdup("");
    lines = (tuff_buf){0};
    if (!*out_lines) status = tuff_fail_memory("what differs from a checkpoint");
done:
    cJSON_Delete(now);
    tuff_buf_free(&text);
    tuff_buf_free(&lines);
    return status;
}

tuff_status tuff_checkpoint_differences(const tuff_checkpoint *c, tuff_trainer *t, char **out_lines)
{
    TUFF_NEED_OUT(out_lines);
    TUFF_NEED(c);
    TUFF_NEED(t);
    TUFF_TRY(tuff_trainer_enter(t));
    tuff_status status = tuff_checkpoint_check(c, t);
    if (status == TUFF_OK) status = differences(c, t, out_lines);
    return tuff_trainer_leave(t, status);
}
