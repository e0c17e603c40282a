/* Saving what is trained. */
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "base/stage.h"
#include "train/trainer.h"

static const char template_file[] = "chat_template.jinja";
/* One word, the name of one of Tuff's own templates. */
static const char layout_file[] = "chat_layout.txt";
static const char *const files[] = {template_file, layout_file};

static tuff_status write_text(const tuff_stage *stage, const char *name, const char *text)
{
    char *path = tuff_path_join(tuff_stage_path(stage), name);
    tuff_status status = path ? tuff_write_file(path, text, strlen(text)) : tuff_fail_memory("a path");
    tuff_free(path);
    return status;
}

/* Records of Alpaca's that were learned in its own layout, as there was no template. */
static bool is_laid_out(const tuff_dataset *data)
{
    tuff_data_report r = TUFF_DATA_REPORT_INIT;
    if (data->task->describe) data->task->describe(data, &r);
    return strcmp(r.format, "alpaca") == 0 && !*r.chat_template;
}

/* The template that conversations were trained by is that of the result, whatever the model's own is. Without
 * one it has the name of what comes nearest: as a template it would make turns of Alpaca's records, too. */
static tuff_status write_template(const tuff_trainer *t, const tuff_stage *stage)
{
    const char *text = t->data->chat_template;
    if (text) return write_text(stage, template_file, text);
    return is_laid_out(t->data) ? write_text(stage, layout_file, "alpaca\n") : TUFF_OK;
}

static tuff_status write_adapter(tuff_trainer *t, tuff_stage *stage, const tuff_watch *watch)
{
    const tuff_task *task = t->data->task;
    tuff_stage_replaces(stage, files, sizeof files / sizeof *files);
    TUFF_TRY(tuff_adapter_save(
        t->runs.lm.adapter,
        &(tuff_adapter_saving){.task_type = task->head ? task->head->peft_type : task->peft_type,
                               .base = t->base_name,
                               .store = t->store,
                               .watch = watch},
        tuff_stage_path(stage)));
    return write_template(t, stage);
}

tuff_status tuff_trainer_write(tuff_trainer *t, tuff_stage *stage, const tuff_watch *watch)
{
    const tuff_task *task = t->data->task;
    TUFF_TRY(tuff_trainer_need_store(t));
    if (t->runs.lm.adapter) return write_adapter(t, stage, watch);
    TUFF_TRY(tuff_model_write_hf(t->model, t->store, TUFF_F32, watch, stage));
    TUFF_TRY(write_template(t, stage));
    return task->save ? task->save(t->data, tuff_stage_path(stage)) : TUFF_OK;
}

/* The result: the averages, where there are some. */
static tuff_status write_result(tuff_trainer *t, tuff_stage *stage, const tuff_watch *watch)
{
    TUFF_TRY(tuff_trainer_need_store(t));
    tuff_trainer_exchange_averages(t);
    tuff_status status = tuff_trainer_write(t, stage, watch);
    tuff_trainer_exchange_averages(t);
    return status;
}

static tuff_status save(tuff_trainer *t, const char *directory)
{
    tuff_stage *stage = NULL;
    TUFF_TRY(tuff_stage_open(directory, &stage));
    tuff_status status = write_result(t, stage, NULL);
    if (status == TUFF_OK) return tuff_stage_commit(&stage);
    tuff_stage_abort(&stage);
    return status;
}

tuff_status tuff_trainer_save_into(tuff_trainer *t, tuff_stage *stage, const tuff_watch *watch)
{
    TUFF_NEED(t);
    TUFF_NEED(stage);
    TUFF_TRY(tuff_watch_check(watch));
    TUFF_TRY(tuff_trainer_enter(t));
    return tuff_trainer_leave(t, write_result(t, stage, watch));
}

tuff_status tuff_trainer_save(tuff_trainer *t, const char *directory)
{
    TUFF_NEED(t);
    TUFF_NEED(directory);
    TUFF_TRY(tuff_trainer_enter(t));
    return tuff_trainer_leave(t, save(t, directory));
}
