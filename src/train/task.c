#include "train/task.h"

#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "base/structs.h"

static const tuff_task *const tasks[] = {
#define TUFF_TASK(name) &tuff_task_##name,
#include "train/tasks/tasks.def"
#undef TUFF_TASK
};
enum { TASKS = sizeof tasks / sizeof *tasks };

const tuff_task *tuff_task_find(const char *name)
{
    for (size_t i = 0; i < TASKS; i++)
        if (strcmp(tasks[i]->name, name) == 0) return tasks[i];
    return NULL;
}

void tuff_task_size(const tuff_batch *batch, tuff_task_shape *out_shape, int64_t *out_labels)
{
    batch->data->task->size(batch, out_shape, out_labels);
    out_shape->tokens += batch->virtual_tokens * out_shape->sequences;
}

const char *tuff_task_names(void)
{
    static _Thread_local char names[256];
    size_t at = 0;
    for (size_t i = 0; i < TASKS; i++)
        at += (size_t)snprintf(names + at, sizeof names - at, "%s%s", i ? ", " : "", tasks[i]->name);
    return names;
}

tuff_tensor *tuff_task_cross_entropy(const tuff_task_graph *at, tuff_graph *g, tuff_tensor *logits,
                                     tuff_tensor *labels)
{
    if (at->use != TUFF_TASK_TRAIN || at->label_smoothing == 0)
        return tuff_cross_entropy_sum(g, logits, labels);
    return tuff_cross_entropy_smoothed(g, logits, labels, at->label_smoothing);
}

bool tuff_task_smooths(const tuff_dataset *data)
{
    (void)data;
    return true;
}

tuff_head_wish tuff_task_wish(const tuff_dataset *data)
{
    tuff_head_wish wish = {.head = data->task->head};
    if (data->task->wish) data->task->wish(data, &wish);
    return wish;
}

tuff_status tuff_task_need_head(const tuff_dataset *data, const tuff_model *model)
{
    const tuff_head_wish wish = tuff_task_wish(data);
    if (tuff_model_fits(model, &wish)) return TUFF_OK;
    if (!tuff_config_has_head(&model->config, wish.head))
        return tuff_fail(TUFF_UNSUPPORTED, "%s: a model for %s is needed here; the head of this one is: %s",
                         model->path, data->task->title, tuff_config_head_title(&model->config));
    return tuff_fail(TUFF_INVALID_ARGUMENT, "%s: its labels are not those of the data", model->path);
}

void tuff_eval_put(tuff_eval_result *result, const char *name, double value)
{
    if (result->count == TUFF_EVAL_FIGURES) return;
    tuff_eval_figure *figure = &result->figures[result->count++];
    snprintf(figure->name, sizeof figure->name, "%s", name);
    figure->value = value;
}

tuff_status tuff_eval_give(tuff_eval_result *out, const tuff_eval_result *result)
{
    tuff_eval_result given = *result;
    TUFF_TRY(TUFF_CHECK_OUT(out, TUFF_EVAL_RESULT_INIT, tokens));
    const size_t size = out->struct_size, begin = offsetof(tuff_eval_result, figures);
    const int64_t room = size < begin ? 0 : (int64_t)((size - begin) / sizeof *given.figures);
    if (given.count > room) given.count = room;
    return TUFF_GIVE(out, &given, TUFF_EVAL_RESULT_INIT, tokens);
}

bool tuff_eval_find(const tuff_eval_result *result, const char *name, double *out_value)
{
    if (!result || !name || !out_value) return false;
    const size_t size = result->struct_size, begin = offsetof(tuff_eval_result, figures);
    const size_t room = size < begin ? 0 : (size - begin) / sizeof *result->figures;
    if (strcmp(name, "loss") == 0 && result->tokens > 0) {
        *out_value = result->loss;
        return true;
    }
    if (strcmp(name, "perplexity") == 0 && result->perplexity > 0) {
        *out_value = result->perplexity;
        return true;
    }
    for (int64_t i = 0; i < result->count && (size_t)i < room; i++) {
        if (strcmp(result->figures[i].name, name) != 0) continue;
        *out_value = result->figures[i].value;
        return true;
    }
    return false;
}

tuff_status tuff_meter_output(tuff_meter *meter, tuff_program *program, const char *name, size_t count,
                              void *out_values)
{
    size_t bytes = count * sizeof(float);
    if (meter->scratch_size < bytes) {
        void *scratch = tuff_realloc_array(meter->scratch, count, sizeof(float));
        if (!scratch) return tuff_fail_memory("an evaluation");
        meter->scratch = scratch;
        meter->scratch_size = bytes;
    }
    TUFF_TRY(tuff_program_output(program, name, meter->scratch, bytes));
    *(void **)out_values = meter->scratch;
    return TUFF_OK;
}

tuff_status tuff_meter_count(tuff_meter *meter, int64_t labels, int64_t right)
{
    const int64_t counts[] = {labels, right};
    tuff_buf_bytes(&meter->seen, counts, sizeof counts);
    return meter->seen.failed ? tuff_fail_memory("an evaluation") : TUFF_OK;
}

tuff_status tuff_meter_accuracy(tuff_meter *meter, tuff_eval_result *out)
{
    const int64_t *counts = (const int64_t *)(const void *)meter->seen.data;
    double all = 0, right = 0;
    for (size_t i = 0; i < meter->seen.size / (2 * sizeof *counts); i++) {
        all += (double)counts[2 * i];
        right += (double)counts[2 * i + 1];
    }
    tuff_eval_put(out, "accuracy", right / all);
    return TUFF_OK;
}
