/* Reading what a checkpoint says, and whether it is whole. */
#include <math.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "base/stage.h"
#include "base/structs.h"
#include "train/checkpoint.h"

void tuff_checkpoint_destroy(tuff_checkpoint **checkpoint)
{
    if (!checkpoint || !*checkpoint) return;
    tuff_checkpoint *c = *checkpoint;
    cJSON_Delete(c->json);
    tuff_free(c->directory);
    tuff_free(c->state);
    tuff_free(c);
    *checkpoint = NULL;
}

static tuff_status read_state(tuff_checkpoint *c)
{
    if (!tuff_is_file(c->state))
        return tuff_fail(TUFF_NOT_FOUND, "%s is no checkpoint: it has no " TUFF_CHECKPOINT_STATE,
                         c->directory);
    TUFF_TRY(tuff_json_read(c->state, &c->json));
    const cJSON *callbacks = cJSON_GetObjectItemCaseSensitive(c->json, "stateful_callbacks");
    c->own = cJSON_GetObjectItemCaseSensitive(callbacks, "tuff");
    if (!cJSON_IsObject(c->own))
        return tuff_fail(
            TUFF_UNSUPPORTED,
            "%s is a checkpoint of another program: its weights can be trained on, as --model, but "
            "its optimizer's state is not read",
            c->directory);
    int64_t format = -1;
    TUFF_TRY(tuff_json_int(c->own, "format", c->state, &format));
    if (format != TUFF_CHECKPOINT_FORMAT)
        return tuff_fail(
            TUFF_UNSUPPORTED,
            "%s is a checkpoint of format %lld, and this version of Tuff reads format %d; its weights "
            "can be trained on, as a model or an adapter",
            c->directory, (long long)format, TUFF_CHECKPOINT_FORMAT);
    return TUFF_OK;
}

static tuff_status read_counters(tuff_checkpoint *c)
{
    const cJSON *counters = cJSON_GetObjectItemCaseSensitive(c->own, "counters");
    c->step = c->max_steps = -1;
    TUFF_TRY(tuff_json_int(c->json, "global_step", c->state, &c->step));
    TUFF_TRY(tuff_json_int(c->json, "max_steps", c->state, &c->max_steps));
    TUFF_TRY(tuff_json_number(c->json, "epoch", c->state, &c->epoch));
    TUFF_TRY(tuff_json_int(counters, "nonfinite_in_a_row", c->state, &c->nonfinite));
    TUFF_TRY(tuff_json_int(counters, "skipped", c->state, &c->skipped));
    if (c->step >= 0 && c->nonfinite >= 0 && c->skipped >= 0) return TUFF_OK;
    return tuff_fail(TUFF_BAD_FORMAT, "%s: it does not say after how many steps it was written", c->state);
}

/* One sentence for whatever is wrong with a file. */
static tuff_status check_file(const tuff_checkpoint_file *expected, const char *directory, tuff_watched *work)
{
    tuff_checkpoint_file found = *expected;
    tuff_checkpoint_files one = {.items = &found, .count = 1};
    tuff_status status = tuff_checkpoint_files_hash(&one, directory, work);
    if (status == TUFF_NOT_FOUND)
        return tuff_fail(TUFF_BAD_FORMAT, "%s is damaged: %s is missing", directory, expected->name);
    TUFF_TRY(status);
    if (found.bytes != expected->bytes)
        return tuff_fail(TUFF_BAD_FORMAT, "%s is damaged: %s has %llu bytes, and %llu were written",
                         directory, expected->name, (unsigned long long)found.bytes,
                         (unsigned long long)expected->bytes);
    if (memcmp(found.sha256, expected->sha256, sizeof found.sha256) != 0)
        return tuff_fail(TUFF_BAD_FORMAT,
                         "%s is damaged: %s is not as it was written (its SHA-256 is another)", directory,
                         expected->name);
    return TUFF_OK;
}

static tuff_status check_files(const tuff_checkpoint *c, const tuff_watch *watch)
{
    tuff_checkpoint_files files;
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(c->own, "files");
    TUFF_TRY(tuff_checkpoint_files_parse(list, c->state, &files));
    tuff_watched work = {
        .watch = watch, .phase = TUFF_PHASE_LOAD, .total = tuff_checkpoint_files_bytes(&files)};
    tuff_status status = tuff_watched_tell(&work);
    bool optimizer = false;
    for (size_t i = 0; i < files.count && status == TUFF_OK; i++) {
        optimizer = optimizer || strcmp(files.items[i].name, TUFF_CHECKPOINT_OPTIMIZER) == 0;
        status = check_file(&files.items[i], c->directory, &work);
    }
    if (status == TUFF_OK && !optimizer)
        status =
            tuff_fail(TUFF_BAD_FORMAT, "%s is damaged: it lists no " TUFF_CHECKPOINT_OPTIMIZER, c->state);
    tuff_checkpoint_files_free(&files);
    return status;
}

static tuff_status open_checkpoint(tuff_checkpoint *c, const char *directory, const tuff_watch *watch)
{
    c->directory = tuff_strdup(directory);
    c->state = tuff_path_join(directory, TUFF_CHECKPOINT_STATE);
    if (!c->directory || !c->state) return tuff_fail_memory("a checkpoint");
    TUFF_TRY(tuff_stage_settle(directory));
    TUFF_TRY(read_state(c));
    TUFF_TRY(read_counters(c));
    return check_files(c, watch);
}

tuff_status tuff_checkpoint_open(const char *directory, const tuff_watch *watch,
                                 tuff_checkpoint **out_checkpoint)
{
    TUFF_NEED_OUT(out_checkpoint);
    TUFF_NEED(directory);
    TUFF_TRY(tuff_watch_check(watch));
    tuff_checkpoint *c = tuff_alloc(sizeof *c);
    if (!c) return tuff_fail_memory("a checkpoint");
    tuff_status status = open_checkpoint(c, directory, watch);
    if (status == TUFF_OK)
        *out_checkpoint = c;
    else
        tuff_checkpoint_destroy(&c);
    return status;
}

static double number_or(const cJSON *object, const char *key, double other)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, key);
    return cJSON_IsNumber(item) ? item->valuedouble : other;
}

/* A number of examples or batches; 0: there is none that can be. */
static int64_t size_of(const cJSON *settings, const char *key)
{
    const double value = number_or(settings, key, 0);
    return value >= 1 && value <= 65536 ? (int64_t)value : 0;
}

tuff_status tuff_checkpoint_get_info(const tuff_checkpoint *c, tuff_checkpoint_info *out_info)
{
    TUFF_NEED(c);
    const cJSON *best = cJSON_GetObjectItemCaseSensitive(c->json, "best_model_checkpoint");
    const double at = number_or(c->json, "best_global_step", 0);
    const cJSON *settings = cJSON_GetObjectItemCaseSensitive(c->own, "settings");
    const tuff_checkpoint_info info = {
        .struct_size = sizeof info,
        .step = c->step,
        .max_steps = c->max_steps,
        .epoch = c->epoch,
        .skipped = c->skipped,
        .directory = c->directory,
        .best_model_checkpoint = cJSON_IsString(best) ? best->valuestring : NULL,
        .best_metric = number_or(c->json, "best_metric", (double)NAN),
        .best_global_step = at >= 0 && at < 1e15 ? (int64_t)at : 0,
        .per_device_train_batch_size = size_of(settings, "per_device_train_batch_size"),
        .gradient_accumulation_steps = size_of(settings, "gradient_accumulation_steps")};
    return TUFF_GIVE(out_info, &info, TUFF_CHECKPOINT_INFO_INIT, best_global_step);
}

bool tuff_checkpoint_get_number(const tuff_checkpoint *c, const char *name, double *out_value)
{
    if (!c || !name || !out_value) return false;
    const cJSON *numbers = cJSON_GetObjectItemCaseSensitive(c->own, "numbers");
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(numbers, name);
    if (!item) return false;
    *out_value = cJSON_IsNumber(item) ? item->valuedouble : (double)NAN;
    return true;
}
