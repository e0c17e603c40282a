/* Adapters as the other kind of file. */
#include "adapters/adapter.h"
#include "base/json.h"
#include "base/stage.h"
#include "base/structs.h"
#include "models/heads/head.h"

static tuff_status write_hf(const tuff_adapter *adapter, const tuff_adapter_params *params, const char *path)
{
    const tuff_config *c = &adapter->model->config;
    tuff_adapter_saving saving = {.base = params->base_name, .watch = params->watch};
    tuff_stage *stage = NULL;
    if (adapter->files)
        TUFF_TRY(tuff_json_text(adapter->files->config, "task_type", adapter->files->config_path,
                                &saving.task_type));
    else if (c->head)
        saving.task_type = c->head->head->peft_type;
    TUFF_TRY(tuff_stage_open(path, &stage));
    tuff_status status = tuff_adapter_save(adapter, &saving, tuff_stage_path(stage));
    if (status == TUFF_OK) return tuff_stage_commit(&stage);
    tuff_stage_abort(&stage);
    return status;
}

static tuff_status write_gguf(const tuff_adapter *adapter, const tuff_adapter_params *params,
                              const char *path)
{
    const tuff_method *method = adapter->method;
    const char *base = params->base_name;
    if (!adapter->model->config.arch->gguf)
        return tuff_fail(TUFF_UNSUPPORTED, "%s: GGUF has no architecture for %s; write the adapter as hf",
                         path, adapter->model->config.arch->name);
    if (!method->write_gguf)
        return tuff_fail(TUFF_UNSUPPORTED, "%s: GGUF adapters are LoRA, this one is %s: %s", adapter->path,
                         method->title,
                         method->merge ? "merge it into its model instead (tuff convert MODEL --adapter)"
                                       : "and no weights of a model can hold what it does, either");
    if (!base && adapter->files)
        TUFF_TRY(tuff_json_text(adapter->files->config, adapter->files->layout->base,
                                adapter->files->config_path, &base));
    return method->write_gguf(adapter, base, params->watch, path);
}

static tuff_status convert(const tuff_model *model, const char *from, const tuff_adapter_params *params,
                           const char *path)
{
    tuff_adapter *adapter = NULL;
    TUFF_TRY(tuff_adapter_open(model, from, NULL, &adapter));
    const tuff_status status = params->format == TUFF_FORMAT_GGUF ? write_gguf(adapter, params, path)
                                                                  : write_hf(adapter, params, path);
    tuff_adapter_destroy(&adapter);
    return status;
}

tuff_status tuff_adapter_convert(const tuff_model *base, const char *adapter,
                                 const tuff_adapter_params *params, const char *path)
{
    tuff_adapter_params p = TUFF_ADAPTER_PARAMS_INIT;
    tuff_model *headed = NULL; /* with the adapter's head, where it has one */
    TUFF_NEED(base);
    TUFF_NEED(adapter);
    TUFF_NEED(path);
    TUFF_TRY(TUFF_TAKE(&p, params, TUFF_ADAPTER_PARAMS_INIT, watch));
    TUFF_TRY(tuff_watch_check(p.watch));
    if (p.format != TUFF_FORMAT_HF && p.format != TUFF_FORMAT_GGUF)
        return tuff_fail(TUFF_INVALID_ARGUMENT, "%s: there is no file format %d", path, (int)p.format);
    tuff_status status = tuff_model_adapted(base, adapter, &headed);
    if (status == TUFF_OK) status = convert(headed ? headed : base, adapter, &p, path);
    tuff_model_destroy(&headed);
    return status;
}
