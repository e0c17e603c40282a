/* What the log of a training says of the steps before a process: lines of JSON. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "train/seen.h"

static double number_of(const cJSON *line, const char *key)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(line, key);
    return cJSON_IsNumber(item) ? item->valuedouble : (double)NAN;
}

static tuff_view text_of(const cJSON *line, const char *key)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(line, key);
    return tuff_view_of(cJSON_IsString(item) ? item->valuestring : "");
}

static tuff_status take_step(tuff_train_report *r, const cJSON *line, int64_t number)
{
    tuff_train_step step = TUFF_TRAIN_STEP_INIT;
    const double tokens = number_of(line, "tokens");
    step.step = number;
    step.epoch = number_of(line, "epoch");
    step.loss = number_of(line, "loss");
    step.learning_rate = number_of(line, "learning_rate");
    step.grad_norm = number_of(line, "grad_norm");
    step.skipped = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(line, "skipped"));
    if (tokens >= 0 && tokens < 0x1p53) step.tokens = (int64_t)tokens - r->tokens; /* it counts them all */
    return tuff_report_take_step(r, &step);
}

static tuff_status take_eval(tuff_train_report *r, const cJSON *line, int64_t number)
{
    tuff_eval_result e = TUFF_EVAL_RESULT_INIT;
    for (const cJSON *item = line->child; item; item = item->next) {
        const char *name = item->string + strlen("eval_");
        if (!tuff_starts_with(item->string, "eval_") || !cJSON_IsNumber(item)) continue;
        if (strcmp(name, "loss") == 0) {
            e.loss = item->valuedouble;
            e.tokens = 1; /* there were some */
        } else if (strcmp(name, "perplexity") == 0) {
            e.perplexity = item->valuedouble;
        } else if (e.count < TUFF_EVAL_FIGURES) {
            tuff_eval_figure *figure = &e.figures[e.count++];
            snprintf(figure->name, sizeof figure->name, "%.*s", (int)sizeof figure->name - 1, name);
            figure->value = item->valuedouble;
        }
    }
    return tuff_report_take_eval(r, number, &e);
}

static tuff_status take_line(tuff_train_report *r, const cJSON *line, const char *path)
{
    int64_t step = -1;
    TUFF_TRY(tuff_json_int(line, "step", path, &step));
    if (step < 0) return tuff_fail(TUFF_BAD_FORMAT, "%s: a line has no \"step\"", path);
    if (cJSON_HasObjectItem(line, "sample"))
        return tuff_report_take_sample(r, step, text_of(line, "prompt"), text_of(line, "sample"));
    return cJSON_HasObjectItem(line, "loss") ? take_step(r, line, step) : take_eval(r, line, step);
}

tuff_status tuff_report_read_log(tuff_train_report *r, const char *path)
{
    tuff_buf log = {0};
    tuff_status status = tuff_read_file(path, (size_t)1 << 31, &log);
    for (size_t at = 0; at < log.size && status == TUFF_OK;) {
        const char *end = memchr(log.data + at, '\n', log.size - at);
        const size_t size = end ? (size_t)(end - log.data) - at : log.size - at;
        cJSON *line = NULL;
        if (size) status = tuff_json_parse(log.data + at, size, path, &line);
        if (line) status = take_line(r, line, path);
        cJSON_Delete(line);
        at += size + 1;
    }
    tuff_buf_free(&log);
    return status;
}
